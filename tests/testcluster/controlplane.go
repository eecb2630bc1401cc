package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// auditPolicy records who did what to which object, without bodies (they hold tokens), and leaves out the cluster's own
// bookkeeping.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  userGroups: ["system:nodes"]
- level: None
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"]
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi*"]
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}, {group: "", resources: [events]}, {group: events.k8s.io, resources: [events]}]
- level: Metadata
`

// startEtcd runs etcd in this process. Nothing is synced to disk: the data lives as long as the test.
func (c *cluster) startEtcd() (clientURL string, err error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(c.dir, "etcd")
	config.UnsafeNoFsync = true
	config.LogLevel, config.LogOutputs = "error", []string{filepath.Join(c.dir, "etcd.log")}
	config.TickMs, config.ElectionMs = 50, 500 // one member: elected at once
	var urls [2]url.URL
	for i := range urls {
		port, err := freePort("127.0.0.1")
		if err != nil {
			return "", err
		}
		urls[i] = url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = urls[:1], urls[:1]
	config.ListenPeerUrls, config.AdvertisePeerUrls = urls[1:], urls[1:]
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return urls[0].String(), nil
	case err := <-etcd.Err():
		return "", err
	case <-time.After(30 * time.Second):
		return "", errors.New("etcd is not ready after 30 s")
	}
}

func (c *cluster) startAPIServer(etcd string) error {
	policy := filepath.Join(c.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o644); err != nil {
		return err
	}
	reconciler := "lease"
	if net.ParseIP(c.host).IsLoopback() {
		reconciler = "none" // a loopback address is refused as an endpoint
	}
	file := c.pki.path
	return c.start("kube-apiserver",
		"--bind-address="+c.host, "--advertise-address="+c.host, fmt.Sprintf("--secure-port=%d", c.port),
		"--endpoint-reconciler-type="+reconciler,
		"--etcd-servers="+etcd,
		"--tls-cert-file="+file("apiserver.crt"), "--tls-private-key-file="+file("apiserver.key"),
		"--client-ca-file="+file("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+file("sa.pub"), "--service-account-signing-key-file="+file("sa.key"),
		"--service-cluster-ip-range="+c.serviceNet(),
		"--authorization-mode=Node,RBAC", "--anonymous-auth=false",
		// OpenShift turns the second on: it asks for more rights of those who write owner references.
		"--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
		"--allow-privileged=true",
		"--audit-policy-file="+policy, "--audit-log-path="+filepath.Join(c.dir, "audit.log"), "--audit-log-mode=blocking",
		"--kubelet-client-certificate="+file("kubelet-client.crt"), "--kubelet-client-key="+file("kubelet-client.key"),
		"--kubelet-certificate-authority="+file("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file="+file("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file="+file("front-proxy-client.crt"), "--proxy-client-key-file="+file("front-proxy-client.key"),
		"--enable-aggregator-routing=true",
		"--profiling=false", "--shutdown-delay-duration=0s")
}

func (c *cluster) startControllerManager() error {
	file := c.pki.path
	return c.startControlled("kube-controller-manager",
		"--service-account-private-key-file="+file("sa.key"), "--root-ca-file="+file("ca.crt"),
		"--cluster-signing-cert-file="+file("ca.crt"), "--cluster-signing-key-file="+file("ca.key"),
		"--use-service-account-credentials=true",
		// Tests make and delete namespaces by the dozen; the defaults would make them wait.
		"--kube-api-qps=500", "--kube-api-burst=1000", "--controller-start-interval=0s",
		"--controllers=*,-node-ipam-controller,-persistentvolume-attach-detach-controller,"+
			"-persistentvolume-expander-controller,-persistentvolume-binder-controller",
		"--profiling=false")
}

func (c *cluster) startScheduler() error { return c.startControlled("kube-scheduler") }

// startControlled runs a component that is a client of the API server and serves only its own health.
func (c *cluster) startControlled(name string, args ...string) error {
	kubeconfig, err := c.kubeconfig(name)
	if err != nil {
		return err
	}
	port, err := freePort("127.0.0.1")
	if err != nil {
		return err
	}
	return c.start(name, append([]string{
		"--kubeconfig=" + kubeconfig, "--leader-elect=false",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + c.pki.path(name+".crt"), "--tls-private-key-file=" + c.pki.path(name+".key"),
		"--authentication-skip-lookup=true",
	}, args...)...)
}

// answers says whether the API server answers a health check, with anything but a failed connection if lenient.
func answers(ctx context.Context, clients kubernetes.Interface, path string, lenient bool) func() bool {
	return func() bool {
		_, err := clients.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		return err == nil || (lenient && apierrors.IsInternalError(err))
	}
}

// controllersWork says whether the controllers have furnished the default namespace.
func controllersWork(ctx context.Context, clients kubernetes.Interface) func() bool {
	return func() bool {
		_, err := clients.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		_, err2 := clients.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err == nil && err2 == nil
	}
}

// writeClusterInfo makes kube-public/cluster-info, which kubeadm would make: where the API server is, and its CA.
func (c *cluster) writeClusterInfo(ctx context.Context, clients kubernetes.Interface) func() bool {
	kubeconfig := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: \"\", cluster: {server: %q, certificate-authority-data: %s}}]\n",
		c.server(), base64PEM(c.ca.pem))
	return func() bool {
		_, err := clients.CoreV1().ConfigMaps("kube-public").Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "cluster-info", Namespace: "kube-public"},
			Data:       map[string]string{"kubeconfig": kubeconfig},
		}, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err)
	}
}
