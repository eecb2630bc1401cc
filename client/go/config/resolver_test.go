package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const kubeconfigText = `
apiVersion: v1
kind: Config
current-context: home
clusters: [{name: home, cluster: {server: "https://home.example"}}]
users: [{name: home, user: {token: from-kubeconfig}}]
contexts:
- {name: home, context: {cluster: home, user: home, namespace: lab}}
- {name: east, context: {cluster: home, user: home, namespace: context-namespace}}
- {name: broken, context: {cluster: nowhere, user: home}}
`

// outsideOfPods points the environment to a kubeconfig (none if `text` is empty) and to no cluster.
func outsideOfPods(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if text != "" {
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
	t.Setenv("KUBECONFIG", path)
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

func mounted(t *testing.T, names ...string) Resolver {
	t.Helper()
	resolver := Resolver{ImportsDirectory: t.TempDir()}
	for _, name := range names {
		newVolume(t, resolver.ImportsDirectory, name, files("https://"+name+".example", "token-of-"+name))
	}
	return resolver
}

func TestTheOnlyImportComesBeforeTheKubeconfig(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	config, namespace, err := mounted(t, "east").ConfigAndNamespace()
	must(t, err)
	if config.Host != "https://east.example" || namespace != "remote" {
		t.Errorf("got %s, namespace %s", config.Host, namespace)
	}
}

func TestSeveralImportsWhereOneIsExpectedAreListed(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	_, _, err := mounted(t, "west", "east").ConfigAndNamespace()
	if !errors.Is(err, ErrSeveralImports) || !strings.Contains(err.Error(), "east, west") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutImportsTheCurrentContextIsTaken(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	for _, resolver := range []Resolver{mounted(t), {ImportsDirectory: "/nonexistent"}} {
		config, namespace, err := resolver.ConfigAndNamespace()
		must(t, err)
		if config.Host != "https://home.example" || namespace != "lab" {
			t.Errorf("got %s, namespace %s", config.Host, namespace)
		}
	}
}

func TestWithNothingAtAllThereIsAnError(t *testing.T) {
	outsideOfPods(t, "")
	if _, _, err := mounted(t).ConfigAndNamespace(); err == nil {
		t.Error("no error")
	}
}

func TestWithoutHomeTheWorkingDirectoryIsNotTakenForIt(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	t.Setenv("HOME", "")
	recommended := clientcmd.RecommendedHomeFile
	clientcmd.RecommendedHomeFile = os.Getenv("KUBECONFIG") // what client-go makes of no HOME when it starts
	t.Cleanup(func() { clientcmd.RecommendedHomeFile = recommended })
	t.Setenv("KUBECONFIG", "")
	if config, _, err := mounted(t).ConfigAndNamespace(); err == nil {
		t.Errorf("got %s", config.Host)
	}
}

// inPod runs the rest of a test where client-go finds a pod's own service account: in a second process, which sees files
// of its own below /run. False means that it ran there.
func inPod(t *testing.T) bool {
	t.Helper()
	if os.Getenv("TEST_IN_POD") == "true" {
		return true
	}
	const script = `
		mount -t tmpfs none /run
		mkdir -p /run/secrets/kubernetes.io/serviceaccount
		cd /run/secrets/kubernetes.io/serviceaccount
		echo own-token >token
		echo own-namespace >namespace
		exec "$0" "$@"`
	command := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-ec", script, os.Args[0], "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), "TEST_IN_POD=true")
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	return false
}

func ownServiceAccount(t *testing.T) {
	t.Helper()
	t.Setenv("KUBERNETES_SERVICE_HOST", "own.example")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
}

func TestInAPodABrokenContextIsNotTakenForThePodsOwnCluster(t *testing.T) {
	if !inPod(t) {
		return
	}
	outsideOfPods(t, strings.ReplaceAll(kubeconfigText, "current-context: home", "current-context: broken"))
	ownServiceAccount(t)
	resolver := mounted(t)
	if config, _, err := resolver.NamedConfigAndNamespace("broken"); err == nil {
		t.Errorf("by name: got %s", config.Host)
	}
	if config, _, err := resolver.ConfigAndNamespace(); err == nil {
		t.Errorf("as the current one: got %s", config.Host)
	}
	if all, _ := resolver.AllNamedConfigsAndNamespaces(); all["broken"].Config != nil {
		t.Errorf("among all: got %s", all["broken"].Config.Host)
	}
}

func TestInAPodAContextWithoutNamespaceMeansDefault(t *testing.T) {
	if !inPod(t) {
		return
	}
	outsideOfPods(t, strings.ReplaceAll(kubeconfigText, ", namespace: lab", ""))
	ownServiceAccount(t)
	if _, namespace, err := mounted(t).NamedConfigAndNamespace("home"); err != nil || namespace != "default" {
		t.Errorf("got namespace %q, %v", namespace, err)
	}
}

func TestInAPodWithoutKubeconfigItsOwnServiceAccountIsTaken(t *testing.T) {
	if !inPod(t) {
		return
	}
	outsideOfPods(t, "")
	ownServiceAccount(t)
	config, namespace, err := mounted(t).ConfigAndNamespace()
	must(t, err)
	if config.Host != "https://own.example:443" || strings.TrimSpace(namespace) != "own-namespace" {
		t.Errorf("got %s, namespace %s", config.Host, namespace)
	}
}

func TestAnEmptyCaMeansTheSystemsRoots(t *testing.T) {
	config, _, err := mounted(t, "east").ConfigAndNamespace()
	must(t, err)
	tls, err := rest.TLSConfigFor(config)
	must(t, err)
	if tls != nil && tls.RootCAs != nil {
		t.Error("there is a pool of roots, with none in it")
	}
}

func TestAnUnreadableImportsDirectoryIsNotTakenForNone(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if config, _, err := (Resolver{ImportsDirectory: file}).ConfigAndNamespace(); err == nil {
		t.Errorf("got %s", config.Host)
	}
}

// asNobody lets the rest of a test be refused what the mode of a file refuses, also if root runs it. The folders above
// the imports are opened to it.
func asNobody(t *testing.T, resolver Resolver) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	above := filepath.Dir(resolver.ImportsDirectory)
	must(t, os.Chmod(above, 0o755))
	must(t, os.Chmod(filepath.Dir(above), 0o755))
	must(t, syscall.Seteuid(65534))
	t.Cleanup(func() { must(t, syscall.Seteuid(0)) })
}

func TestADirectoryThatCanOnlyBeListedIsNotTakenForEmpty(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	resolver := mounted(t, "east")
	must(t, os.Chmod(resolver.ImportsDirectory, 0o444))
	t.Cleanup(func() { _ = os.Chmod(resolver.ImportsDirectory, 0o755) })
	asNobody(t, resolver)
	if config, _, err := resolver.ConfigAndNamespace(); err == nil {
		t.Errorf("got %s", config.Host)
	}
}

func TestAnImportWithoutPermissionIsNamedAndNotPassedOver(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	resolver := mounted(t, "east")
	must(t, os.Chmod(filepath.Join(resolver.ImportsDirectory, "east", "token"), 0))
	asNobody(t, resolver)
	_, _, err := resolver.ConfigAndNamespace()
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "east") {
		t.Errorf("got %v", err)
	}
}

func TestANameMeansTheImportThenTheContext(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	resolver := mounted(t, "east", "west")
	for name, server := range map[string]string{"east": "https://east.example", "home": "https://home.example"} {
		config, _, err := resolver.NamedConfigAndNamespace(name)
		must(t, err)
		if config.Host != server {
			t.Errorf("%s: got %s", name, config.Host)
		}
	}
}

func TestANameThatIsNowhereGetsBothLists(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	_, _, err := mounted(t, "west").NamedConfigAndNamespace("missing")
	if !errors.Is(err, ErrNoImport) || !strings.Contains(err.Error(), "broken, east, home") {
		t.Errorf("got %v", err)
	}
}

func TestANameIsNoPath(t *testing.T) {
	resolver := mounted(t, "east")
	for _, name := range []string{"..", "../" + filepath.Base(resolver.ImportsDirectory) + "/east", "east/..data"} {
		if _, _, err := resolver.NamedServiceAccountImportConfigAndNamespace(name); !errors.Is(err, ErrNoImport) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestARevokedImportIsNoReasonToTakeTheContext(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	resolver := mounted(t)
	newVolume(t, resolver.ImportsDirectory, "east", map[string]string{"server": "https://east.example", "namespace": "remote"})
	if _, _, err := resolver.NamedConfigAndNamespace("east"); !errors.Is(err, ErrNoToken) {
		t.Errorf("got %v", err)
	}
	all, _ := resolver.AllNamedConfigsAndNamespaces()
	if _, found := all["east"]; found {
		t.Error("All took the context")
	}
}

func TestAllGivesWhatWorksAndAnErrorForEachOther(t *testing.T) {
	outsideOfPods(t, kubeconfigText)
	resolver := mounted(t, "east", "west")
	newVolume(t, resolver.ImportsDirectory, "empty", files("", "token"))
	all, err := resolver.AllNamedConfigsAndNamespaces()
	if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, []string{"east", "home", "west"}) {
		t.Errorf("got %v", names)
	}
	if all["east"].Namespace != "remote" {
		t.Error("the context of the same name won over the import")
	}
	if err == nil || !strings.Contains(err.Error(), `"empty"`) || !strings.Contains(err.Error(), `"broken"`) {
		t.Errorf("got %v", err)
	}
}

func TestAKubeconfigWithDuplicateNamesLeavesImportsUsable(t *testing.T) {
	outsideOfPods(t, strings.ReplaceAll(kubeconfigText, "name: east", "name: home"))
	all, err := mounted(t, "west").AllNamedConfigsAndNamespaces()
	if err == nil || len(all) != 1 {
		t.Errorf("got %d and %v", len(all), err)
	}
}

func TestDotEntriesAndFilesAreNoImports(t *testing.T) {
	resolver := mounted(t, "east")
	must(t, os.Mkdir(filepath.Join(resolver.ImportsDirectory, "..2026"), 0o755))
	must(t, os.WriteFile(filepath.Join(resolver.ImportsDirectory, "README"), nil, 0o644))
	name, err := resolver.SingleServiceAccountImportName()
	if err != nil || name != "east" {
		t.Errorf("got %q, %v", name, err)
	}
}

func TestALoaderGivesAKubeconfigThatPointsToTheToken(t *testing.T) {
	loader := ServiceAccountImportConfigLoader{"east", mounted(t, "east")}
	raw, err := loader.RawConfig()
	must(t, err)
	token, err := os.ReadFile(raw.AuthInfos["east"].TokenFile)
	must(t, err)
	if string(token) != "token-of-east" || raw.Clusters["east"].Server != "https://east.example" {
		t.Errorf("got %v", raw)
	}
}
