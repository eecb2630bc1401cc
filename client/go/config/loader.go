package config

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ServiceAccountImportConfigLoader is an import as a [clientcmd.ClientConfig], for code that takes one.
type ServiceAccountImportConfigLoader struct {
	Name     string
	resolver Resolver
}

var _ clientcmd.ClientConfig = (*ServiceAccountImportConfigLoader)(nil)

// NewServiceAccountImportConfigLoader returns the loader of the only import.
func NewServiceAccountImportConfigLoader() (*ServiceAccountImportConfigLoader, error) {
	name, err := Default.SingleServiceAccountImportName()
	if err != nil {
		return nil, err
	}
	return &ServiceAccountImportConfigLoader{name, Default}, nil
}

// NewNamedServiceAccountImportConfigLoader returns the loader of the import of that name; "" means the only one.
func NewNamedServiceAccountImportConfigLoader(name string) (*ServiceAccountImportConfigLoader, error) {
	if name == "" {
		return NewServiceAccountImportConfigLoader()
	}
	mounted, err := Default.ServiceAccountImportMounted(name)
	if err != nil {
		return nil, err
	}
	if !mounted {
		return nil, fmt.Errorf("%w of name %q in %s", ErrNoImport, name, Default.importsDirectory())
	}
	return &ServiceAccountImportConfigLoader{name, Default}, nil
}

// AllServiceAccountImportConfigLoaders returns the loaders of all imports by name.
func AllServiceAccountImportConfigLoaders() (map[string]*ServiceAccountImportConfigLoader, error) {
	names, err := Default.ServiceAccountImportNames()
	loaders := map[string]*ServiceAccountImportConfigLoader{}
	for _, name := range names {
		loaders[name] = &ServiceAccountImportConfigLoader{name, Default}
	}
	return loaders, err
}

// ClientConfig returns a configuration whose token never goes stale.
func (l *ServiceAccountImportConfigLoader) ClientConfig() (*rest.Config, error) {
	config, _, err := l.resolver.load(l.Name)
	return config, err
}

// Namespace returns the namespace of the service account in its own cluster. Nothing overrides it.
func (l *ServiceAccountImportConfigLoader) Namespace() (string, bool, error) {
	_, namespace, err := l.resolver.load(l.Name)
	return namespace, false, err
}

// ConfigAndNamespace returns both.
func (l *ServiceAccountImportConfigLoader) ConfigAndNamespace() (*rest.Config, string, error) {
	return l.resolver.load(l.Name)
}

// RawConfig returns the import as a kubeconfig that points to the token's file, which must be mounted.
func (l *ServiceAccountImportConfigLoader) RawConfig() (clientcmdapi.Config, error) {
	config, namespace, err := l.resolver.load(l.Name)
	if err != nil {
		return clientcmdapi.Config{}, err
	}
	raw := clientcmdapi.NewConfig()
	raw.Clusters[l.Name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthority: config.CAFile}
	raw.AuthInfos[l.Name] = &clientcmdapi.AuthInfo{TokenFile: config.BearerTokenFile}
	raw.Contexts[l.Name] = &clientcmdapi.Context{Cluster: l.Name, AuthInfo: l.Name, Namespace: namespace}
	raw.CurrentContext = l.Name
	return *raw, nil
}

// ConfigAccess is for tools that edit kubeconfigs; an import is read only.
func (l *ServiceAccountImportConfigLoader) ConfigAccess() clientcmd.ConfigAccess {
	return &clientcmd.ClientConfigLoadingRules{}
}

// load builds the configuration of an import: from what the sidecar says, else from the files.
func (r Resolver) load(name string) (*rest.Config, string, error) {
	directory := filepath.Join(r.importsDirectory(), name)
	source := &tokenSource{name: name, path: filepath.Join(directory, "token"), pushed: pushedBy(r.Socket)}
	if _, err := source.pushed.token(name); err != nil {
		return nil, "", err // its files may still be there for a moment
	}
	now, err := readSnapshot(directory)
	said := source.pushed.state(name).GetConfig()
	config := &rest.Config{WrapTransport: source.wrap}
	if err == nil || said == nil {
		// By path, so that client-go follows a changed CA as well. Empty means the system's roots, to client-go none.
		if ca := filepath.Join(directory, "ca.crt"); hasContent(ca) {
			config.CAFile = ca
		}
		// For those who read the path; client-go alone would look at the file once a minute and never on a 401.
		config.BearerTokenFile = source.path
	} else {
		config.CAData = []byte(said.GetCaBundle())
	}
	if len(said.GetToken()) > 0 {
		now, err = snapshot{server: said.GetServer(), namespace: said.GetNamespace()}, nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("service account import %q: %w", name, err)
	}
	_ = source.readFile() // what client-go is about to read as well; without a file there is nothing to know
	config.Host = now.server
	return config, now.namespace, nil
}

func hasContent(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}
