#ifndef K8S_CORE_NO_PROXY_H_
#define K8S_CORE_NO_PROXY_H_

#include <string_view>

#include "k8s/core/server_url.h"

namespace k8s {

// Whether a server is reached without the proxy that the environment names. `no_proxy` lists hosts and domains (with or
// without a dot before them: all below are meant too), addresses, networks ("10.0.0.0/8") and "*", each but networks
// with or without a port; what is none of these matches nothing. Loopback is never proxied. As Go's
// golang.org/x/net/http/httpproxy.
bool BypassesProxy(const ServerUrl& server, std::string_view no_proxy);

}  // namespace k8s

#endif  // K8S_CORE_NO_PROXY_H_
