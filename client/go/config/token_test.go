package config

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

const canary = "canary-token"

// server answers 401 to every token but the valid one, which only a fake does at a moment of our choice.
type server struct {
	*httptest.Server
	valid    atomic.Value
	requests atomic.Int32
	on401    func()
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+s.valid.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
			if s.on401 != nil {
				s.on401()
			}
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) files(token string) map[string]string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return map[string]string{"server": s.URL, "namespace": "remote", "ca.crt": string(ca), "token": token}
}

// importOf mounts an import of the server and returns its volume and a client-go client.
func importOf(t *testing.T, s *server, edit ...func(*rest.Config)) (*volume, *http.Client) {
	t.Helper()
	resolver := Resolver{ImportsDirectory: t.TempDir()}
	v := newVolume(t, resolver.ImportsDirectory, "east", s.files(canary))
	config, _, err := resolver.ServiceAccountImportConfigAndNamespace()
	must(t, err)
	for _, e := range edit {
		e(config)
	}
	client, err := rest.HTTPClientFor(config)
	must(t, err)
	s.valid.Store(canary)
	return v, client
}

func post(t *testing.T, client *http.Client, s *server, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL, body)
	must(t, err)
	response, err := client.Do(request)
	must(t, err)
	defer closeBody(response.Body)
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(text)
}

func TestARenewedTokenIsSentWithTheNextRequest(t *testing.T) {
	s := newServer(t)
	v, client := importOf(t, s)
	for i := range 3 {
		if status, _ := post(t, client, s, nil); status != http.StatusOK {
			t.Fatalf("renewal %d: got %d", i, status)
		}
		token := fmt.Sprintf("renewed-%d", i)
		v.replace(s.files(token))
		s.valid.Store(token)
	}
	if s.requests.Load() != 3 {
		t.Errorf("%d requests were needed", s.requests.Load())
	}
}

func TestA401IsFollowedByOneRetryWithTheNewerTokenAndTheSameBody(t *testing.T) {
	s := newServer(t)
	v, client := importOf(t, s)
	s.valid.Store("renewed")
	s.on401 = func() { v.replace(s.files("renewed")) }
	status, text := post(t, client, s, strings.NewReader("body"))
	if status != http.StatusOK || text != "body" || s.requests.Load() != 2 {
		t.Errorf("got %d %q after %d requests", status, text, s.requests.Load())
	}
}

func TestA401IsReturnedIfTheTokenIsStillTheSame(t *testing.T) {
	s := newServer(t)
	_, client := importOf(t, s)
	s.valid.Store("another")
	if status, _ := post(t, client, s, nil); status != http.StatusUnauthorized || s.requests.Load() != 1 {
		t.Errorf("got %d after %d requests", status, s.requests.Load())
	}
}

func TestABodyThatCannotBeRepeatedIsSentOnce(t *testing.T) {
	s := newServer(t)
	v, client := importOf(t, s)
	s.on401 = func() { v.replace(s.files("renewed")) }
	s.valid.Store("renewed")
	status, _ := post(t, client, s, io.MultiReader(strings.NewReader("body")))
	if status != http.StatusUnauthorized || s.requests.Load() != 1 {
		t.Errorf("got %d after %d requests", status, s.requests.Load())
	}
}

func TestATokenThatWasTakenAwayIsNotSentAgain(t *testing.T) {
	s := newServer(t)
	v, client := importOf(t, s)
	v.replace(map[string]string{"server": s.URL, "namespace": "remote"})
	_, err := client.Get(s.URL)
	if !errors.Is(err, ErrNoToken) || s.requests.Load() != 0 {
		t.Errorf("got %v after %d requests", err, s.requests.Load())
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Error("the error holds the token")
	}
}

func TestACallersOwnTokenIsLeftAlone(t *testing.T) {
	s := newServer(t)
	_, client := importOf(t, s, func(c *rest.Config) { c.BearerTokenFile, c.BearerToken = "", "callers-own" })
	s.valid.Store("callers-own")
	if status, _ := post(t, client, s, nil); status != http.StatusOK {
		t.Errorf("got %d", status)
	}
}

func TestOneStateIsReadEvenWhileItIsReplaced(t *testing.T) {
	directory := t.TempDir()
	state := func(i int) map[string]string {
		text := fmt.Sprint(i)
		return map[string]string{"server": text, "namespace": text, "ca.crt": text, "token": text}
	}
	v := newVolume(t, directory, "east", state(0))
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			default:
				v.replace(state(i))
			}
		}
	})
	for range 2000 {
		read, err := readSnapshot(v.directory)
		must(t, err)
		if read.server != read.token || read.namespace != read.token {
			t.Fatalf("half an old and half a new state: %v", read)
		}
	}
	close(done)
	writer.Wait()
}

func TestANewlineIsNoPartOfTheToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(path, []byte("one\n"), 0o600))
	if token, err := (&tokenSource{path: path}).current(); err != nil || token != "one" {
		t.Errorf("got %q, %v", token, err)
	}
}
