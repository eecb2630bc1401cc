"""Python clients as their documentation shows them, and with our package.

main.py LIBRARY, one of kubernetes, kubernetes_asyncio, mcsa, mcsa.aio. For each line of input it says by which token
the cluster knows it.
"""

import asyncio
import sys
from typing import Any

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


def known_as(review: Any) -> str:
    return f"ok {review.status.user_info.extra[CREDENTIAL_ID]}"


def failed(error: Exception) -> str:
    return "error " + " ".join(str(error).split())


def run(library: str) -> None:
    import kubernetes

    configuration = None
    if library == "mcsa":
        import mcsa

        configuration = mcsa.config_and_namespace().configuration
    else:
        kubernetes.config.load_config()
    api = kubernetes.client.AuthenticationV1Api(kubernetes.client.ApiClient(configuration))
    for _ in sys.stdin:
        try:
            print(known_as(api.create_self_subject_review(kubernetes.client.V1SelfSubjectReview())), flush=True)
        except Exception as error:
            print(failed(error), flush=True)


async def run_async(library: str) -> None:
    import kubernetes_asyncio

    configuration = None
    if library == "mcsa.aio":
        import mcsa.aio

        configuration = (await mcsa.aio.config_and_namespace()).configuration
    else:
        await kubernetes_asyncio.config.load_config()
    async with kubernetes_asyncio.client.ApiClient(configuration) as client:
        api = kubernetes_asyncio.client.AuthenticationV1Api(client)
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                review = await api.create_self_subject_review(kubernetes_asyncio.client.V1SelfSubjectReview())
                print(known_as(review), flush=True)
            except Exception as error:
                print(failed(error), flush=True)


if sys.argv[1] in ("kubernetes_asyncio", "mcsa.aio"):
    asyncio.run(run_async(sys.argv[1]))
else:
    run(sys.argv[1])
