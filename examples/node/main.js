// Lists the pods of the cluster that this pod's import leads to, each minute, for as long as you let it. The client is
// as ever: the door "in-cluster" leads its standard files and variables to the other cluster.
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";

const config = new KubeConfig();
config.loadFromCluster();
const namespace = config.getContextObject(config.currentContext).namespace;
const api = config.makeApiClient(CoreV1Api);
for (;;) {
  try {
    const pods = await api.listNamespacedPod({ namespace });
    for (const pod of pods.items) console.log(namespace, pod.metadata.name);
  } catch (error) {
    console.error(error.message);
  }
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}
