package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
)

// ImportsDirectory is where the webhook mounts imports, in a folder each.
const ImportsDirectory = "/var/run/secrets/admiralty.io/serviceaccountimports"

var (
	// ErrNoImport says that no import is mounted, or none of the name asked for.
	ErrNoImport = errors.New("no service account import mounted")
	// ErrSeveralImports says that one import was expected and there are several, which its text lists.
	ErrSeveralImports = errors.New("several service account imports mounted")
	// ErrNoToken says that an import holds no token: it was revoked, or is not ready yet.
	ErrNoToken = errors.New("no token: the import was revoked, or is not ready yet (its status says which)")
)

// Resolver finds configurations. The zero value looks in the standard places.
type Resolver struct {
	// ImportsDirectory has the imports, a folder each; if empty $MCSA_IMPORTS_DIRECTORY, else ImportsDirectory of this
	// package.
	ImportsDirectory string
	// Socket is the sidecar's, which is asked first and pushes renewals; $MCSA_SOCKET if empty, and none without that.
	// One that does not answer within two seconds is not waited for again, and used once it does.
	Socket string
}

func (r Resolver) importsDirectory() string {
	return cmp.Or(r.ImportsDirectory, os.Getenv("MCSA_IMPORTS_DIRECTORY"), ImportsDirectory)
}

// ConfigAndNamespace is as the function of that name.
func (r Resolver) ConfigAndNamespace() (*rest.Config, string, error) {
	config, namespace, err := r.ServiceAccountImportConfigAndNamespace()
	if errors.Is(err, ErrNoImport) {
		return ConfigAndNamespaceForContext("")
	}
	return config, namespace, err
}

// NamedConfigAndNamespace is as the function of that name.
func (r Resolver) NamedConfigAndNamespace(name string) (*rest.Config, string, error) {
	if name == "" {
		return r.ConfigAndNamespace()
	}
	config, namespace, err := r.NamedServiceAccountImportConfigAndNamespace(name)
	if !errors.Is(err, ErrNoImport) {
		return config, namespace, err
	}
	config, namespace, contextErr := ConfigAndNamespaceForContext(name)
	if contextErr != nil {
		return nil, "", errors.Join(err, contextErr)
	}
	return config, namespace, nil
}

// AllNamedConfigsAndNamespaces is as the function of that name.
func (r Resolver) AllNamedConfigsAndNamespaces() (map[string]ConfigAndNamespaceTuple, error) {
	all, err := r.AllServiceAccountImportConfigsAndNamespaces()
	contexts, contextsErr := AllContextsForKubeconfig("")
	errs := []error{err, contextsErr}
	names, err := r.ServiceAccountImportNames()
	errs = append(errs, err)
	for _, context := range contexts {
		if slices.Contains(names, context) {
			continue // also if the import cannot be used: its context may lead to another cluster
		}
		config, namespace, err := ConfigAndNamespaceForContext(context)
		if err != nil {
			errs = append(errs, fmt.Errorf("kubeconfig context %q: %w", context, err))
			continue
		}
		all[context] = ConfigAndNamespaceTuple{config, namespace}
	}
	return all, errors.Join(errs...)
}

// ServiceAccountImportConfigAndNamespace is as the function of that name.
func (r Resolver) ServiceAccountImportConfigAndNamespace() (*rest.Config, string, error) {
	name, err := r.SingleServiceAccountImportName()
	if err != nil {
		return nil, "", err
	}
	return r.load(name)
}

// NamedServiceAccountImportConfigAndNamespace is as the function of that name.
func (r Resolver) NamedServiceAccountImportConfigAndNamespace(name string) (*rest.Config, string, error) {
	if name == "" {
		return r.ServiceAccountImportConfigAndNamespace()
	}
	mounted, err := r.ServiceAccountImportMounted(name)
	if err != nil {
		return nil, "", err
	}
	if !mounted {
		return nil, "", fmt.Errorf("%w of name %q in %s", ErrNoImport, name, r.importsDirectory())
	}
	return r.load(name)
}

// AllServiceAccountImportConfigsAndNamespaces is as the function of that name.
func (r Resolver) AllServiceAccountImportConfigsAndNamespaces() (map[string]ConfigAndNamespaceTuple, error) {
	all := map[string]ConfigAndNamespaceTuple{}
	names, err := r.ServiceAccountImportNames()
	if err != nil {
		return all, err
	}
	var errs []error
	for _, name := range names {
		config, namespace, err := r.load(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[name] = ConfigAndNamespaceTuple{config, namespace}
	}
	return all, errors.Join(errs...)
}

// ServiceAccountImportNames returns the names of the imports, sorted.
func (r Resolver) ServiceAccountImportNames() ([]string, error) {
	entries, err := os.ReadDir(r.importsDirectory())
	if errors.Is(err, os.ErrNotExist) {
		return pushedBy(r.Socket).names(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("service account imports: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if !isImportName(entry.Name()) {
			continue
		}
		// Follows links: a volume may be laid out with them.
		info, err := os.Stat(filepath.Join(r.importsDirectory(), entry.Name()))
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("service account imports: %w", err)
		case info.IsDir():
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// SingleServiceAccountImportName is as the function of that name.
func (r Resolver) SingleServiceAccountImportName() (string, error) {
	names, err := r.ServiceAccountImportNames()
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", fmt.Errorf("%w in %s", ErrNoImport, r.importsDirectory())
	case len(names) > 1:
		return "", fmt.Errorf("%w: %s; ask for one by name", ErrSeveralImports, strings.Join(names, ", "))
	}
	return names[0], nil
}

// ServiceAccountImportMounted is as the function of that name.
func (r Resolver) ServiceAccountImportMounted(name string) (bool, error) {
	names, err := r.ServiceAccountImportNames()
	return slices.Contains(names, name), err
}

// isImportName keeps the dot entries of volumes out, and a name from outside from becoming a path.
func isImportName(name string) bool {
	return name != "" && name[0] != '.' && !strings.ContainsRune(name, '/')
}
