#ifndef CLIENT_CLI_RENEWAL_H_
#define CLIENT_CLI_RENEWAL_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "k8s/api/client.h"
#include "k8s/core/service_account_import.h"

namespace cli {

// Asks the broker for a new token of an import and waits until it has written it down. Returns the import with it.
// What `renew` does, and how bootstrap learns that the broker reaches a source.
//
// Errors: those of k8s::Client. FAILED_PRECONDITION: not within `timeout`; the text holds what the import says.
absl::StatusOr<k8s::ServiceAccountImport> RequestRenewal(const k8s::Client& target, const k8s::ObjectKey& key,
                                                         absl::Duration timeout);

}  // namespace cli

#endif  // CLIENT_CLI_RENEWAL_H_
