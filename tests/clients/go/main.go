// client-go as its documentation shows it: a kubeconfig, else the pod's own service account. For each line of input it
// says by which token the cluster knows it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"

	authentication "k8s.io/api/authentication/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	reviews := client.AuthenticationV1().SelfSubjectReviews()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		review, err := reviews.Create(context.Background(), &authentication.SelfSubjectReview{}, meta.CreateOptions{})
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Println("ok", review.Status.UserInfo.Extra["authentication.kubernetes.io/credential-id"])
	}
}
