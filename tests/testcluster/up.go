package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func base64PEM(text []byte) string { return base64.StdEncoding.EncodeToString(text) }

// up starts one cluster, writes <dir>/ready when it works, and stays until it is told to stop.
func up(args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for all that the cluster writes")
	host := flags.String("host", "127.0.0.1", "address of the API server, and of the kubelet, which refuses loopback")
	port := flags.Int("port", 0, "port of the API server; 0: a free one")
	index := flags.Int("index", 0, "tells the Service and pod networks of several clusters apart")
	nodes := flags.Bool("node", false, "run a node, kube-proxy and CoreDNS too; needs root and namespaces of its own")
	images := flags.String("images", "", "comma list of OCI archives for the node")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || flags.NArg() != 1 {
		return fmt.Errorf("usage: testcluster up -dir DIR [flags] NAME")
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	c := &cluster{name: flags.Arg(0), index: *index, dir: absolute, host: *host, port: *port}
	c.pki.dir = filepath.Join(absolute, "pki")
	if *images != "" {
		c.images = strings.Split(*images, ",")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	defer c.stop()
	if err := c.run(ctx, *nodes); err != nil {
		return fmt.Errorf("%s: %w (logs are in %s)", c.name, err, c.dir)
	}
	<-ctx.Done()
	return nil
}

func (c *cluster) run(ctx context.Context, withNode bool) error {
	if err := os.MkdirAll(c.pki.dir, 0o755); err != nil {
		return err
	}
	if err := c.certificates(); err != nil {
		return err
	}
	if c.port == 0 {
		var err error
		if c.port, err = freePort(c.host); err != nil {
			return err
		}
	}
	imported := make(chan error, 1)
	if withNode {
		go func() { imported <- c.startContainerd() }()
	}
	etcd, err := c.startEtcd()
	if err != nil {
		return err
	}
	if err := c.startAPIServer(etcd); err != nil {
		return err
	}
	clients, err := c.clients()
	if err != nil {
		return err
	}
	// The other components log errors by the screenful if they start before the API server serves.
	if err := wait(ctx, "the API server", answers(ctx, clients, "/livez", true)); err != nil {
		return err
	}
	if err := c.startControllerManager(); err != nil {
		return err
	}
	if withNode {
		if err := c.startNode(<-imported); err != nil {
			return err
		}
	}
	if err := wait(ctx, "/readyz", answers(ctx, clients, "/readyz", false)); err != nil {
		return err
	}
	if err := wait(ctx, "cluster-info", c.writeClusterInfo(ctx, clients)); err != nil {
		return err
	}
	if err := wait(ctx, "the controllers", controllersWork(ctx, clients)); err != nil {
		return err
	}
	if withNode {
		if err := c.waitForNode(ctx, clients); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(c.dir, "ready"), nil, 0o644)
}

func (c *cluster) clients() (kubernetes.Interface, error) {
	file, err := c.kubeconfig("admin")
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// wait polls until done says so, at most 90 seconds.
func wait(ctx context.Context, what string, done func() bool) error {
	for end := time.Now().Add(90 * time.Second); !done(); {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not ready after 90 s", what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
