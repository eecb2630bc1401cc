package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

//go:embed coredns.yaml
var corednsManifest string

// startContainerd starts containerd and imports the images. It needs no API server, so it runs beside its start.
func (c *cluster) startContainerd() error {
	dir := filepath.Join(c.dir, "node")
	cni := filepath.Join(dir, "cni")
	if err := os.MkdirAll(cni, 0o755); err != nil {
		return err
	}
	// A socket's path may have 107 bytes, so these stay out of deep folders.
	run, err := os.MkdirTemp("", "containerd-")
	if err != nil {
		return err
	}
	c.socket = filepath.Join(run, "containerd.sock")
	files := map[string]string{
		// Routed pods (ptp), not bridged ones: a Service that leads back to the same node needs no br_netfilter then.
		filepath.Join(cni, "10-ptp.conflist"): fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %q, "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "loopback"}]}`, c.name, filepath.Join(dir, "ipam"), c.podNet()),
		filepath.Join(dir, "resolv.conf"): "",
		// restrict_oom_score_adj: root without CAP_SYS_RESOURCE may not lower it, and every sandbox would fail.
		filepath.Join(dir, "containerd.toml"): fmt.Sprintf(`version = 2
root = "%[2]s/root"
state = "%[2]s/state"
[grpc]
  address = %[4]q
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %[3]q
`, dir, run, cni, c.socket),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	// Where "tools/clusters load" finds it.
	if err := os.WriteFile(filepath.Join(c.dir, "containerd.socket"), []byte(c.socket), 0o644); err != nil {
		return err
	}
	if err := c.startProgram("containerd", "containerd", "-c", filepath.Join(dir, "containerd.toml")); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if connection, err := net.Dial("unix", c.socket); err == nil {
			connection.Close()
			break
		} else if time.Now().After(end) {
			return fmt.Errorf("containerd: %w", err)
		}
	}
	for _, image := range c.images {
		if out, err := exec.Command("ctr", "-a", c.socket, "-n", "k8s.io", "images", "import", image).CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: %w: %s", image, err, out)
		}
	}
	return nil
}

// startNode starts what makes a control plane a cluster. containerd is the result of startContainerd.
func (c *cluster) startNode(containerd error) error {
	if containerd != nil {
		return containerd
	}
	if err := c.startScheduler(); err != nil {
		return err
	}
	if err := c.startProxy(); err != nil {
		return err
	}
	return c.startKubelet()
}

func (c *cluster) startProxy() error {
	kubeconfig, err := c.kubeconfig("kube-proxy")
	if err != nil {
		return err
	}
	config, err := c.writeJSON("kube-proxy.json", map[string]any{
		"kind": "KubeProxyConfiguration", "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
		"mode": "nftables", "nftables": map[string]any{"minSyncPeriod": "100ms"},
		"bindAddress": c.host, "clusterCIDR": c.podNet(), "hostnameOverride": c.node(),
		"healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
		"clientConnection": map[string]any{"kubeconfig": kubeconfig},
		// Zero leaves the machine's conntrack settings alone.
		"conntrack": map[string]any{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	})
	if err != nil {
		return err
	}
	return c.start("kube-proxy", "--config="+config)
}

func (c *cluster) startKubelet() error {
	dir := filepath.Join(c.dir, "node")
	cgroup, err := c.makeCgroups()
	if err != nil {
		return err
	}
	kubeconfig, err := c.kubeconfig("kubelet")
	if err != nil {
		return err
	}
	config, err := c.writeJSON("kubelet.json", map[string]any{
		"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
		"address": c.host, "readOnlyPort": 0, "healthzPort": 0,
		"tlsCertFile": c.pki.path("kubelet.crt"), "tlsPrivateKeyFile": c.pki.path("kubelet.key"),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": c.pki.path("ca.crt")},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"containerRuntimeEndpoint": "unix://" + c.socket,
		"podLogsDir":               filepath.Join(dir, "pod-logs"),
		"volumePluginDir":          filepath.Join(dir, "volume-plugins"),
		"resolvConf":               filepath.Join(dir, "resolv.conf"),
		"clusterDNS":               []string{c.dnsIP()}, "clusterDomain": "cluster.local",
		// An own root each: two kubelets that share one delete each other's pods.
		"cgroupRoot": cgroup, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": true, "enforceNodeAllocatable": []string{},
		"failCgroupV1": false, "failSwapOn": false, "makeIPTablesUtilChains": false,
		// The machine's disk is not ours to judge.
		"evictionHard": map[string]string{"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%",
			"nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent": 100,
		// Quick, so that tests need not wait for what takes a minute elsewhere.
		"syncFrequency": "1s", "nodeStatusUpdateFrequency": "2s", "kubeAPIQPS": 200, "kubeAPIBurst": 400,
		"configMapAndSecretChangeDetectionStrategy": "Watch",
	})
	if err != nil {
		return err
	}
	return c.start("kubelet", "--config="+config, "--kubeconfig="+kubeconfig,
		"--root-dir="+filepath.Join(dir, "kubelet"), "--cert-dir="+filepath.Join(dir, "kubelet-pki"),
		"--hostname-override="+c.node(), "--node-ip="+c.host)
}

// makeCgroups makes the cluster's cgroup in every v1 hierarchy, or in the one of v2.
func (c *cluster) makeCgroups() (string, error) {
	const mount = "/sys/fs/cgroup"
	root := "/testcluster/" + c.name
	if _, err := os.Stat(mount + "/cgroup.controllers"); err == nil {
		for _, parent := range []string{mount, mount + "/testcluster"} {
			controllers, _ := os.ReadFile(parent + "/cgroup.controllers")
			for _, controller := range strings.Fields(string(controllers)) {
				// Refused for those that are on already or cannot be had; the kubelet tells which it misses.
				os.WriteFile(parent+"/cgroup.subtree_control", []byte("+"+controller), 0o644)
			}
			if err := os.MkdirAll(mount+root, 0o755); err != nil {
				return "", err
			}
		}
		return root, nil
	}
	hierarchies, err := os.ReadDir(mount)
	if err != nil {
		return "", err
	}
	for _, hierarchy := range hierarchies {
		if !hierarchy.IsDir() {
			continue
		}
		if err := os.MkdirAll(filepath.Join(mount, hierarchy.Name(), root), 0o755); err != nil {
			return "", err
		}
	}
	return root, nil
}

// waitForNode waits for the node, and for CoreDNS to answer at its Service's address, which proves kube-proxy too.
func (c *cluster) waitForNode(ctx context.Context, clients kubernetes.Interface) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	apply := exec.Command(self, "kubectl", "--kubeconfig="+filepath.Join(c.dir, "admin.kubeconfig"),
		"--cache-dir="+filepath.Join(c.dir, "kubectl-cache"), "create", "--validate=false", "-f", "-")
	apply.Stdin = strings.NewReader(strings.ReplaceAll(corednsManifest, "$DNS_IP", c.dnsIP()))
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("CoreDNS: %w: %s", err, out)
	}
	if err := wait(ctx, "the node", func() bool { return nodeReady(ctx, clients, c.node()) }); err != nil {
		return err
	}
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(c.dnsIP(), "53"))
	}}
	return wait(ctx, "cluster DNS", func() bool {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		return err == nil && len(addresses) == 1 && addresses[0] == c.serviceIP()
	})
}

func nodeReady(ctx context.Context, clients kubernetes.Interface, name string) bool {
	node, err := clients.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *cluster) writeJSON(name string, value any) (string, error) {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.dir, name)
	return file, os.WriteFile(file, text, 0o644)
}
