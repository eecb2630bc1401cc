// A program as users of the predecessor have it. A test of package config and tools/client-matrix build it after changing
// the import path of that package. For each line of input it says by which token the cluster knows it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"

	"admiralty.io/multicluster-service-account/pkg/config"
	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Everything else that the package exports, with the types it had.
var (
	_ func(string) (*rest.Config, string, error)                          = config.NamedConfigAndNamespace
	_ func() (map[string]config.ConfigAndNamespaceTuple, error)           = config.AllNamedConfigsAndNamespaces
	_ func() (*rest.Config, string, error)                                = config.ServiceAccountImportConfigAndNamespace
	_ func(string) (*rest.Config, string, error)                          = config.NamedServiceAccountImportConfigAndNamespace
	_ func() (map[string]config.ConfigAndNamespaceTuple, error)           = config.AllServiceAccountImportConfigsAndNamespaces
	_ func(string) (*rest.Config, string, error)                          = config.ConfigAndNamespaceForContext
	_ func(string, string) (*rest.Config, string, error)                  = config.ConfigAndNamespaceForKubeconfigAndContext
	_ func(string) ([]string, error)                                      = config.AllContextsForKubeconfig
	_ func(string, string) clientcmd.ClientConfig                         = config.LoaderForKubeconfigAndContext
	_ func() ([]string, error)                                            = config.AllServiceAccountImportNames
	_ func() (string, error)                                              = config.SingleServiceAccountImportName
	_ func(string) (bool, error)                                          = config.ServiceAccountImportMounted
	_ func() (*config.ServiceAccountImportConfigLoader, error)            = config.NewServiceAccountImportConfigLoader
	_ func(string) (*config.ServiceAccountImportConfigLoader, error)      = config.NewNamedServiceAccountImportConfigLoader
	_ func() (map[string]*config.ServiceAccountImportConfigLoader, error) = config.AllServiceAccountImportConfigLoaders
	_ clientcmd.ClientConfig                                              = (*config.ServiceAccountImportConfigLoader)(nil)
)

func main() {
	cfg, _, err := config.ConfigAndNamespace()
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		review, err := client.AuthenticationV1().SelfSubjectReviews().Create(context.Background(), &authentication.SelfSubjectReview{}, meta.CreateOptions{})
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Println("ok", review.Status.UserInfo.Extra["authentication.kubernetes.io/credential-id"])
	}
}
