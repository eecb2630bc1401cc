package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/homedir"
)

// ConfigAndNamespaceForContext returns a context of the standard kubeconfig ($KUBECONFIG, else ~/.kube/config). "" means
// the current one, and without any kubeconfig the pod's own service account.
func ConfigAndNamespaceForContext(context string) (*rest.Config, string, error) {
	return ConfigAndNamespaceForKubeconfigAndContext("", context)
}

// ConfigAndNamespaceForKubeconfigAndContext returns a context of a kubeconfig file; "" means the standard kubeconfig and
// the current context.
func ConfigAndNamespaceForKubeconfigAndContext(kubeconfig string, context string) (*rest.Config, string, error) {
	loader := LoaderForKubeconfigAndContext(kubeconfig, context)
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	name := cmp.Or(context, raw.CurrentContext)
	if name == "" {
		return configAndNamespace(loader)
	}
	if _, found := raw.Contexts[name]; !found {
		// client-go says only that the context is missing, and without a kubeconfig not even that.
		return nil, "", fmt.Errorf("no kubeconfig context %q; there are: %s", name, listed(slices.Sorted(maps.Keys(raw.Contexts))))
	}
	// Not by the loader: in a pod it takes a context without its cluster, or without a namespace, for the pod's own.
	return configAndNamespace(clientcmd.NewNonInteractiveClientConfig(raw, name, &clientcmd.ConfigOverrides{}, loader.ConfigAccess()))
}

// AllContextsForKubeconfig returns the names of the contexts of a kubeconfig file, sorted; "" means the standard
// kubeconfig.
func AllContextsForKubeconfig(kubeconfig string) ([]string, error) {
	raw, err := LoaderForKubeconfigAndContext(kubeconfig, "").RawConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), nil
}

// LoaderForKubeconfigAndContext returns client-go's loader of a context of a kubeconfig file; "" means the standard
// kubeconfig and the current context.
func LoaderForKubeconfigAndContext(kubeconfig string, context string) clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	switch {
	case kubeconfig != "":
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	case os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" && homedir.HomeDir() == "":
		rules = &clientcmd.ClientConfigLoadingRules{} // else .kube/config below the working directory
	}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
}

func configAndNamespace(loader clientcmd.ClientConfig) (*rest.Config, string, error) {
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", err
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", err
	}
	return config, namespace, nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
