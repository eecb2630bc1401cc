// Package config gives a program the configurations of the clusters it may call: from imports mounted in its pod, from
// kubeconfig contexts, or from the pod's own service account. It has the functions and types of the predecessor's
// package of that name, so that a program moves over by changing its import path.
//
// Unlike there, a token never goes stale: the transport of a returned [rest.Config] looks at the import before each
// request, follows a renewal at once (pushed by the sidecar, where there is one), and repeats a request once that was
// answered 401 if there is a newer token by then. What is returned may be kept for the life of the program.
//
// An import wins over a kubeconfig context of the same name, in every function. All functions may be called from several
// goroutines.
package config

import (
	"k8s.io/client-go/rest"
)

// ConfigAndNamespaceTuple is what the functions that return several configurations have as the values of their maps.
type ConfigAndNamespaceTuple struct {
	Config    *rest.Config
	Namespace string
}

// Default is what the functions of this package use. A program that keeps its imports elsewhere sets
// Default.ImportsDirectory before its first call, or uses a [Resolver] of its own.
var Default Resolver

// ConfigAndNamespace returns the only import, else the current kubeconfig context, else the pod's own service account.
// Several imports are an error that lists them and wraps [ErrSeveralImports].
func ConfigAndNamespace() (*rest.Config, string, error) { return Default.ConfigAndNamespace() }

// NamedConfigAndNamespace returns the import of that name, else the kubeconfig context of that name. An import that is
// there and cannot be read is an error, never a reason to look further.
func NamedConfigAndNamespace(name string) (*rest.Config, string, error) {
	return Default.NamedConfigAndNamespace(name)
}

// AllNamedConfigsAndNamespaces returns all imports and all kubeconfig contexts by name. What can be used is returned
// even if the error, which joins one error for each of the others, is not nil.
func AllNamedConfigsAndNamespaces() (map[string]ConfigAndNamespaceTuple, error) {
	return Default.AllNamedConfigsAndNamespaces()
}

// ServiceAccountImportConfigAndNamespace returns the only import. No import is an error that wraps [ErrNoImport],
// several are one that wraps [ErrSeveralImports].
func ServiceAccountImportConfigAndNamespace() (*rest.Config, string, error) {
	return Default.ServiceAccountImportConfigAndNamespace()
}

// NamedServiceAccountImportConfigAndNamespace returns the import of that name; "" means the only one.
func NamedServiceAccountImportConfigAndNamespace(name string) (*rest.Config, string, error) {
	return Default.NamedServiceAccountImportConfigAndNamespace(name)
}

// AllServiceAccountImportConfigsAndNamespaces returns all imports by name. What can be used is returned even if the
// error, which joins one error for each of the others, is not nil.
func AllServiceAccountImportConfigsAndNamespaces() (map[string]ConfigAndNamespaceTuple, error) {
	return Default.AllServiceAccountImportConfigsAndNamespaces()
}

// AllServiceAccountImportNames returns the names of the imports, sorted. There may be none.
func AllServiceAccountImportNames() ([]string, error) { return Default.ServiceAccountImportNames() }

// SingleServiceAccountImportName returns the name of the only import.
func SingleServiceAccountImportName() (string, error) {
	return Default.SingleServiceAccountImportName()
}

// ServiceAccountImportMounted says whether there is an import of that name, usable or not.
func ServiceAccountImportMounted(name string) (bool, error) {
	return Default.ServiceAccountImportMounted(name)
}
