// Lists the pods of the cluster that this pod's import leads to, each minute, for as long as you let it: the token in
// its client is replaced while it runs.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/admiraltyio/multicluster-service-account/client/go/config"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func main() {
	cfg, namespace, err := config.ServiceAccountImportConfigAndNamespace()
	if err != nil {
		log.Fatal(err) // says what is missing
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		log.Fatal(err)
	}
	for ; ; time.Sleep(time.Minute) {
		pods, err := client.CoreV1().Pods(namespace).List(context.Background(), meta.ListOptions{})
		if err != nil {
			log.Print(err)
			continue
		}
		for _, pod := range pods.Items {
			fmt.Println(namespace, pod.Name)
		}
	}
}
