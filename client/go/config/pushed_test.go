package config

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mcsav1 "github.com/admiraltyio/multicluster-service-account/client/go/mcsa/v1"
	"google.golang.org/grpc"
	"k8s.io/client-go/rest"
)

// fakeSidecar sends what the test pushes, at a moment of its choice.
type fakeSidecar struct {
	mcsav1.UnimplementedConfigServiceServer
	snapshots chan *mcsav1.WatchConfigsResponse
}

func (f *fakeSidecar) WatchConfigs(_ *mcsav1.WatchConfigsRequest, stream grpc.ServerStreamingServer[mcsav1.WatchConfigsResponse]) error {
	for {
		select {
		case snapshot, open := <-f.snapshots:
			if !open {
				return nil
			}
			if err := stream.Send(snapshot); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (f *fakeSidecar) push(state *mcsav1.ImportState) {
	f.snapshots <- &mcsav1.WatchConfigsResponse{Imports: []*mcsav1.ImportState{state}}
}

func socketPath(t *testing.T) string {
	directory, err := os.MkdirTemp("", "mcsa") // t.TempDir() is too long for a socket
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return filepath.Join(directory, "socket")
}

func newFakeSidecar(t *testing.T) (*fakeSidecar, string) {
	t.Helper()
	path := socketPath(t)
	listener, err := net.Listen("unix", path)
	must(t, err)
	f := &fakeSidecar{snapshots: make(chan *mcsav1.WatchConfigsResponse, 8)}
	server := grpc.NewServer()
	mcsav1.RegisterConfigServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return f, path
}

func pushedConfig(s *server, token string) *mcsav1.ImportState {
	return &mcsav1.ImportState{Name: "east", Outcome: &mcsav1.ImportState_Config{Config: &mcsav1.Config{
		Name: "east", Namespace: "remote", Server: s.URL, CaBundle: s.files("")["ca.crt"], Token: []byte(token)}}}
}

// clientOf returns a client-go client of the only import, and a function that awaits what the sidecar has pushed.
func clientOf(t *testing.T, resolver Resolver) (*http.Client, func(token string)) {
	t.Helper()
	config, _, err := resolver.ServiceAccountImportConfigAndNamespace()
	must(t, err)
	client, err := rest.HTTPClientFor(config)
	must(t, err)
	return client, func(token string) {
		for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(time.Millisecond) {
			if got, err := pushedBy(resolver.Socket).token("east"); got == token || (err != nil && token == "") {
				return
			}
		}
		t.Fatal("what was pushed did not arrive")
	}
}

func TestAPushedTokenIsSentThoughNoFileHasIt(t *testing.T) {
	s, resolver := newServer(t), Resolver{ImportsDirectory: "/nonexistent"}
	var f *fakeSidecar
	f, resolver.Socket = newFakeSidecar(t)
	f.push(pushedConfig(s, "first"))
	client, arrived := clientOf(t, resolver)
	for _, token := range []string{"second", "third"} {
		f.push(pushedConfig(s, token))
		arrived(token)
		s.valid.Store(token)
		if status, _ := post(t, client, s, nil); status != http.StatusOK {
			t.Errorf("%s: got %d", token, status)
		}
	}
}

func TestASidecarThatWentAwayLeavesTheFiles(t *testing.T) {
	s, resolver := newServer(t), Resolver{ImportsDirectory: t.TempDir()}
	v := newVolume(t, resolver.ImportsDirectory, "east", s.files("from-file"))
	var f *fakeSidecar
	f, resolver.Socket = newFakeSidecar(t)
	f.push(pushedConfig(s, "pushed"))
	client, arrived := clientOf(t, resolver)
	close(f.snapshots)
	arrived("")
	v.replace(s.files("newer-file"))
	s.valid.Store("newer-file")
	if status, _ := post(t, client, s, nil); status != http.StatusOK {
		t.Errorf("got %d", status)
	}
}

func TestWhatTheSidecarCallsRevokedIsNotSent(t *testing.T) {
	s, resolver := newServer(t), Resolver{ImportsDirectory: t.TempDir()}
	newVolume(t, resolver.ImportsDirectory, "east", s.files(canary))
	var f *fakeSidecar
	f, resolver.Socket = newFakeSidecar(t)
	f.push(pushedConfig(s, canary))
	client, arrived := clientOf(t, resolver)
	f.push(&mcsav1.ImportState{Name: "east", Outcome: &mcsav1.ImportState_Error{Error: &mcsav1.ImportError{
		Code: mcsav1.ImportError_REVOKED, Message: "the policy was withdrawn"}}})
	arrived("")
	_, err := client.Get(s.URL)
	if !errors.Is(err, ErrNoToken) || !strings.Contains(err.Error(), "the policy was withdrawn") {
		t.Errorf("got %v", err)
	}
}

func TestASocketThatHangsCostsOneDeadlineThenFilesAreTaken(t *testing.T) {
	resolver := mounted(t, "east")
	resolver.Socket = socketPath(t)
	listener, err := net.Listen("unix", resolver.Socket) // nobody accepts
	must(t, err)
	defer closeBody(listener)
	start := time.Now()
	for range 3 {
		config, _, err := resolver.ConfigAndNamespace()
		must(t, err)
		if config.Host != "https://east.example" {
			t.Errorf("got %s", config.Host)
		}
	}
	if waited := time.Since(start); waited < socketDeadline || waited > 2*socketDeadline {
		t.Errorf("waited %v", waited)
	}
}

func TestASocketThatIsNotThereCostsNothing(t *testing.T) {
	resolver := mounted(t, "east")
	resolver.Socket = socketPath(t)
	start := time.Now()
	_, _, err := resolver.ConfigAndNamespace()
	must(t, err)
	if waited := time.Since(start); waited > socketDeadline/2 {
		t.Errorf("waited %v", waited)
	}
}
