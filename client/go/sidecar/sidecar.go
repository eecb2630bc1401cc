// Package sidecar takes credentials from the sidecar of this pod as they change, over its Unix socket. Most programs are
// better served by package config, which does so by itself.
//
// Messages hold tokens: never print or log one.
package sidecar

import (
	"context"
	"iter"
	"math/rand/v2"
	"os"
	"time"

	mcsav1 "github.com/admiraltyio/multicluster-service-account/client/go/mcsa/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// SocketPath is where the sidecar listens, unless the environment variable MCSA_SOCKET says otherwise.
const SocketPath = "/var/run/multicluster-service-account/mcsa.sock"

const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Dial returns a connection to the socket; "" means $MCSA_SOCKET, else SocketPath. It does not wait for the sidecar, and
// connects again whenever that restarts. The caller closes it.
func Dial(socket string) (*grpc.ClientConn, error) {
	if socket == "" {
		socket = os.Getenv("MCSA_SOCKET")
	}
	if socket == "" {
		socket = SocketPath
	}
	// No TLS: what protects the socket is who has it mounted.
	return grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// Watch yields a whole snapshot at once and after each change, of the imports named, or of all this pod has if none is.
// A stream that breaks is yielded as an error and opened again after a pause (0.1 to 10 seconds); what you hold stays
// good meanwhile. The sequence ends with ctx, or after an error that calling again does not cure (PERMISSION_DENIED,
// INVALID_ARGUMENT, UNIMPLEMENTED).
func Watch(ctx context.Context, connection grpc.ClientConnInterface, names ...string) iter.Seq2[*mcsav1.WatchConfigsResponse, error] {
	client := mcsav1.NewConfigServiceClient(connection)
	return func(yield func(*mcsav1.WatchConfigsResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			stream, err := client.WatchConfigs(ctx, &mcsav1.WatchConfigsRequest{Names: names})
			for err == nil {
				var snapshot *mcsav1.WatchConfigsResponse
				if snapshot, err = stream.Recv(); err != nil {
					break
				}
				pause = firstPause
				if !yield(snapshot, nil) {
					return
				}
			}
			if ctx.Err() != nil || !yield(nil, err) || !worthAnotherTry(err) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause + rand.N(pause)): // apart from the pod's other programs
			}
		}
	}
}

func worthAnotherTry(err error) bool {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.Unimplemented:
		return false
	}
	return true
}
