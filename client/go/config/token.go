package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
)

// knownTokens is how many tokens of a file are remembered: client-go's own cache, a minute old at most, may still send
// an earlier one, which is ours to replace, while a token of the caller's own is not. By hash, so that no token is kept
// longer than it is used.
const knownTokens = 8

// tokenSource is the token of one import: as the sidecar pushes it, else as it is in a file. Safe for use by several
// goroutines.
type tokenSource struct {
	name   string
	path   string
	pushed *pushed // nil without a sidecar

	mu    sync.Mutex
	info  os.FileInfo // of the file that `token` was read from
	token string      // the file's
	known [][sha256.Size]byte
}

// current returns the token as it is now. The file is looked at each time and read when it was replaced. A token that
// was taken away is an error; a file that cannot be read for any other reason leaves its last token in use.
func (s *tokenSource) current() (string, error) {
	pushed, err := s.pushed.token(s.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	fileErr := s.readFile() // also beside a pushed token: client-go may send the file's, which then must be known
	switch {
	case err != nil:
		return "", err
	case pushed != "":
		s.remember(pushed)
		return pushed, nil
	case fileErr != nil && (errors.Is(fileErr, os.ErrNotExist) || s.token == ""):
		return "", fmt.Errorf("%s: %w", s.path, ErrNoToken)
	}
	return s.token, nil
}

func (s *tokenSource) readFile() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, os.ErrNotExist) {
		info, err = os.Stat(s.path) // the state may have been replaced while its path was walked
	}
	if err != nil {
		return err
	}
	if s.info != nil && os.SameFile(info, s.info) && info.ModTime().Equal(s.info.ModTime()) && info.Size() == s.info.Size() {
		return nil
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	if token := strings.TrimSpace(string(text)); token != "" {
		s.info, s.token = info, token
		s.remember(token)
	}
	return nil
}

func (s *tokenSource) remember(token string) {
	hash := sha256.Sum256([]byte(token))
	if slices.Contains(s.known, hash) {
		return
	}
	s.known = append(s.known, hash)
	s.known = s.known[max(0, len(s.known)-knownTokens):]
}

// sent says whether a request's Authorization header is one that this file's token, now or before, would make.
func (s *tokenSource) sent(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return header == ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.known, sha256.Sum256([]byte(token)))
}

func (s *tokenSource) wrap(next http.RoundTripper) http.RoundTripper { return &transport{s, next} }

// transport sends each request with the current token, and once more if that was answered 401 and replaced meanwhile.
type transport struct {
	source *tokenSource
	next   http.RoundTripper
}

// WrappedRoundTripper lets client-go find the TLS settings beneath.
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := t.source.current()
	if !t.source.sent(request.Header.Get("Authorization")) {
		return t.next.RoundTrip(request) // someone else's credential, put there on purpose
	}
	if err != nil {
		closeBody(request.Body)
		return nil, err
	}
	response, err := t.next.RoundTrip(withToken(request, token))
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	newer, err := t.source.current()
	if err != nil || newer == token {
		return response, nil
	}
	again := withToken(request, newer)
	if request.Body != nil && request.Body != http.NoBody {
		if request.GetBody == nil {
			return response, nil // its body is spent
		}
		if again.Body, err = request.GetBody(); err != nil {
			return response, nil
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	closeBody(response.Body)
	return t.next.RoundTrip(again)
}

func withToken(request *http.Request, token string) *http.Request {
	clone := request.Clone(request.Context())
	clone.Header.Set("Authorization", "Bearer "+token)
	return clone
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
