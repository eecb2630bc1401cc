// @kubernetes/client-node as its documentation shows it. For each line of input it says by which token the cluster
// knows it.
import readline from "node:readline";
import { AuthenticationV1Api, KubeConfig } from "@kubernetes/client-node";

const config = new KubeConfig();
config.loadFromDefault();
const api = config.makeApiClient(AuthenticationV1Api);
for await (const _ of readline.createInterface({ input: process.stdin })) {
  try {
    const review = await api.createSelfSubjectReview({ body: {} });
    console.log("ok", review.status.userInfo.extra["authentication.kubernetes.io/credential-id"].join());
  } catch (error) {
    console.log("error", String(error.message ?? error).replace(/\s+/g, " "));
  }
}
