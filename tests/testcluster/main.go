// Command testcluster is a Kubernetes cluster in one file: etcd, the control plane, the node's programs and kubectl,
// chosen by the first argument, and "up", which runs them all. DESIGN.md tells how the pieces fit.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const usage = "usage: testcluster up|kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy|kubelet|kubectl ..."

var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	// A link named kubectl is kubectl.
	args := os.Args
	if filepath.Base(args[0]) != "kubectl" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	name := filepath.Base(args[0])
	switch component, known := components[name]; {
	case name == "up":
		if err := up(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "testcluster:", err)
			os.Exit(1)
		}
	case name == "kubectl":
		os.Args = append([]string{"kubectl"}, args[1:]...)
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	case known:
		os.Args = append([]string{name}, args[1:]...)
		os.Exit(cli.Run(component()))
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}
