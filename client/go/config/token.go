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
// an earlier one, which is ours to replace, while a token of the caller's own is not.
const knownTokens = 8

// tokenFile is the token in a file. Safe for use by several goroutines.
type tokenFile struct {
	path string

	mu    sync.Mutex
	info  os.FileInfo // of the file that `token` was read from
	token string
	known [][sha256.Size]byte // the newest last, so that no earlier token stays in memory
}

func newTokenFile(path string, token string) *tokenFile {
	file := &tokenFile{path: path}
	file.set(nil, token)
	return file
}

func (f *tokenFile) set(info os.FileInfo, token string) {
	f.info = info
	if token == f.token {
		return
	}
	f.token = token
	f.known = append(f.known, sha256.Sum256([]byte(token)))
	f.known = f.known[max(0, len(f.known)-knownTokens):]
}

// current returns the token as it is now. The file is looked at each time and read when it was replaced. A token that
// was taken away is an error; a file that cannot be read for any other reason leaves the last token in use.
func (f *tokenFile) current() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		info, err = os.Stat(f.path) // the state may have been replaced while its path was walked
	}
	if err != nil {
		return f.lastUnlessRevoked(err)
	}
	if f.info != nil && os.SameFile(info, f.info) && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return f.token, nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return f.lastUnlessRevoked(err)
	}
	if token := strings.TrimSpace(string(text)); token != "" {
		f.set(info, token)
	}
	return f.token, nil
}

func (f *tokenFile) lastUnlessRevoked(err error) (string, error) {
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", f.path, ErrNoToken)
	}
	return f.token, nil
}

// sent says whether a request's Authorization header is one that this file's token, now or before, would make.
func (f *tokenFile) sent(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return header == ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.known, sha256.Sum256([]byte(token)))
}

func (f *tokenFile) wrap(next http.RoundTripper) http.RoundTripper { return &transport{f, next} }

// transport sends each request with the current token, and once more if that was answered 401 and replaced meanwhile.
type transport struct {
	source *tokenFile
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
