package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// cluster is one Kubernetes cluster: its addresses, its folder and its processes.
type cluster struct {
	name   string
	index  int    // tells the Service and pod networks of several clusters apart
	dir    string // everything it writes
	host   string // where the API server and the kubelet listen
	port   int    // of the API server
	images []string
	pki    pki
	ca     *authority
	socket string // containerd's

	mu        sync.Mutex
	processes []*exec.Cmd
}

func (c *cluster) server() string     { return fmt.Sprintf("https://%s:%d", c.host, c.port) }
func (c *cluster) node() string       { return c.name + "-node" }
func (c *cluster) serviceIP() string  { return fmt.Sprintf("10.%d.0.1", 96+c.index) }
func (c *cluster) dnsIP() string      { return fmt.Sprintf("10.%d.0.10", 96+c.index) }
func (c *cluster) serviceNet() string { return fmt.Sprintf("10.%d.0.0/16", 96+c.index) }
func (c *cluster) podNet() string     { return fmt.Sprintf("10.%d.0.0/24", 200+c.index) }

func (c *cluster) certificates() error {
	var err error
	if c.ca, err = c.pki.newAuthority("ca", "kubernetes-"+c.name); err != nil {
		return err
	}
	frontProxy, err := c.pki.newAuthority("front-proxy-ca", "front-proxy-"+c.name)
	if err != nil {
		return err
	}
	apiHosts := []string{"127.0.0.1", "localhost", c.host, c.serviceIP(),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	for _, l := range []leaf{
		{c.ca, "apiserver", "kube-apiserver", "", apiHosts},
		{c.ca, "admin", "kubernetes-admin", "system:masters", nil},
		{c.ca, "kube-controller-manager", "system:kube-controller-manager", "", []string{"127.0.0.1"}},
		{c.ca, "kube-scheduler", "system:kube-scheduler", "", []string{"127.0.0.1"}},
		{c.ca, "kube-proxy", "system:kube-proxy", "", nil},
		{c.ca, "kubelet", "system:node:" + c.node(), "system:nodes", []string{c.host, c.node()}},
		{c.ca, "kubelet-client", "kube-apiserver-kubelet-client", "system:masters", nil},
		{frontProxy, "front-proxy-client", "front-proxy-client", "", nil},
	} {
		if err := c.pki.issue(l); err != nil {
			return err
		}
	}
	return c.pki.newServiceAccountKey()
}

// kubeconfig writes <user>.kubeconfig, with the user's certificate inline, and returns its path. The user is called
// <user>@<cluster>, because merging kubeconfigs keeps only the first of two users of one name.
func (c *cluster) kubeconfig(user string) (string, error) {
	var data [3]string
	for i, file := range []string{"ca.crt", user + ".crt", user + ".key"} {
		text, err := os.ReadFile(c.pki.path(file))
		if err != nil {
			return "", err
		}
		data[i] = base64.StdEncoding.EncodeToString(text)
	}
	file := filepath.Join(c.dir, user+".kubeconfig")
	return file, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: %[1]s
clusters: [{name: %[1]s, cluster: {server: %[2]q, certificate-authority-data: %[4]s}}]
users: [{name: %[3]s@%[1]s, user: {client-certificate-data: %[5]s, client-key-data: %[6]s}}]
contexts: [{name: %[1]s, context: {cluster: %[1]s, user: %[3]s@%[1]s}}]
`, c.name, c.server(), user, data[0], data[1], data[2]), 0o600)
}

// start runs one of our own components in the background.
func (c *cluster) start(component string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return c.startProgram(component, self, append([]string{component}, args...)...)
}

// startProgram runs a program in the background, its output in <name>.log. It dies with us, however we die.
func (c *cluster) startProgram(name, path string, args ...string) error {
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, cmd)
	return nil
}

// stop ends the processes, the last started first, and those that linger after 10 seconds by force.
func (c *cluster) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.processes) - 1; i >= 0; i-- {
		process := c.processes[i]
		process.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { process.Process.Kill() })
		process.Wait()
		kill.Stop()
	}
}

// freePort returns a port of host that nothing listens on, below those that the kernel hands out by itself: one of those
// could be taken before its program listens.
func freePort(host string) (int, error) {
	// A process that is being started has our listener open until its exec.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no port of %s is free", host)
}
