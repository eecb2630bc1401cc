package config

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	mcsav1 "github.com/admiraltyio/multicluster-service-account/client/go/mcsa/v1"
	"github.com/admiraltyio/multicluster-service-account/client/go/sidecar"
)

// socketDeadline is how long a program waits, once, for a sidecar that does not answer; then it takes the files.
const socketDeadline = 2 * time.Second

// pushed is the newest that the sidecar at one socket said of its imports. It lives as long as the process, with one
// stream for all imports and configurations.
type pushed struct {
	answered chan struct{} // closed when the sidecar has answered or failed, or after socketDeadline

	mu      sync.Mutex
	imports map[string]*mcsav1.ImportState // nil while there is no stream: then the files know better
}

var (
	pushedMu sync.Mutex
	pushedOf = map[string]*pushed{}
)

// pushedBy returns what is known from a socket and opens the stream at the first call. Nil without a socket.
func pushedBy(socket string) *pushed {
	if socket == "" {
		socket = os.Getenv("MCSA_SOCKET")
	}
	if socket == "" {
		return nil
	}
	pushedMu.Lock()
	defer pushedMu.Unlock()
	p := pushedOf[socket]
	if p == nil {
		p = &pushed{answered: make(chan struct{})}
		pushedOf[socket] = p
		go p.follow(socket)
	}
	return p
}

func (p *pushed) follow(socket string) {
	answer := sync.OnceFunc(func() { close(p.answered) })
	time.AfterFunc(socketDeadline, answer)
	defer answer()
	connection, err := sidecar.Dial(socket)
	if err != nil {
		return // no socket can have that name
	}
	defer closeBody(connection)
	for snapshot, err := range sidecar.Watch(context.Background(), connection) {
		var imports map[string]*mcsav1.ImportState
		if err == nil {
			imports = map[string]*mcsav1.ImportState{}
			for _, state := range snapshot.GetImports() {
				imports[state.GetName()] = state
			}
		}
		p.mu.Lock()
		p.imports = imports
		p.mu.Unlock()
		answer()
	}
}

// state returns what the sidecar says of an import; nil if it says nothing, and for a nil p.
func (p *pushed) state(name string) *mcsav1.ImportState {
	if p == nil {
		return nil
	}
	<-p.answered
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.imports[name]
}

// names returns the names of the imports that the sidecar knows, sorted.
func (p *pushed) names() []string {
	if p == nil {
		return nil
	}
	<-p.answered
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name := range p.imports {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// token returns the token that the sidecar holds, an error if it says that there shall be none, and "" if it does not
// know better than the files.
func (p *pushed) token(name string) (string, error) {
	state := p.state(name)
	switch state.GetError().GetCode() {
	case mcsav1.ImportError_REVOKED, mcsav1.ImportError_NOT_FOUND, mcsav1.ImportError_NOT_ALLOWED:
		return "", fmt.Errorf("service account import %q: %w: %s", name, ErrNoToken, state.GetError().GetMessage())
	}
	return string(state.GetConfig().GetToken()), nil
}
