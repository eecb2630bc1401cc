package sidecar

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	mcsav1 "github.com/admiraltyio/multicluster-service-account/client/go/mcsa/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refusing answers each stream with one snapshot and then the next of its errors.
type refusing struct {
	mcsav1.UnimplementedConfigServiceServer
	errors []error
	names  []string
}

func (r *refusing) WatchConfigs(request *mcsav1.WatchConfigsRequest, stream grpc.ServerStreamingServer[mcsav1.WatchConfigsResponse]) error {
	r.names = request.GetNames()
	if err := stream.Send(&mcsav1.WatchConfigsResponse{}); err != nil {
		return err
	}
	err := r.errors[0]
	r.errors = r.errors[1:]
	return err
}

func watched(t *testing.T, r *refusing, names ...string) []codes.Code {
	t.Helper()
	directory, err := os.MkdirTemp("", "mcsa") // t.TempDir() is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	t.Setenv("MCSA_SOCKET", filepath.Join(directory, "socket"))
	listener, err := net.Listen("unix", os.Getenv("MCSA_SOCKET"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	mcsav1.RegisterConfigServiceServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := Dial("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	var seen []codes.Code
	for _, err := range Watch(context.Background(), connection, names...) {
		seen = append(seen, status.Code(err))
	}
	return seen
}

func TestAStreamThatBreaksIsOpenedAgainAndARefusalEndsTheSequence(t *testing.T) {
	r := &refusing{errors: []error{status.Error(codes.Unavailable, ""), status.Error(codes.PermissionDenied, "")}}
	seen := watched(t, r, "east")
	want := []codes.Code{codes.OK, codes.Unavailable, codes.OK, codes.PermissionDenied}
	if len(seen) != 4 || [4]codes.Code(seen) != [4]codes.Code(want) {
		t.Errorf("got %v", seen)
	}
	if len(r.names) != 1 || r.names[0] != "east" {
		t.Errorf("asked for %v", r.names)
	}
}
