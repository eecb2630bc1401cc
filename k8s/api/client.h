#ifndef K8S_API_CLIENT_H_
#define K8S_API_CLIENT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/api/http_transport.h"
#include "k8s/core/json.h"
#include "k8s/core/object.h"

namespace k8s {

// One kind of object as the API server's URLs name it.
struct Resource {
  std::string group;  // "" for the core group
  std::string version;
  std::string plural;
};

inline const Resource kSecrets{"", "v1", "secrets"};
inline const Resource kNamespaces{"", "v1", "namespaces"};
inline const Resource kPods{"", "v1", "pods"};
inline const Resource kConfigMaps{"", "v1", "configmaps"};
inline const Resource kServiceAccounts{"", "v1", "serviceaccounts"};
inline const Resource kEvents{"events.k8s.io", "v1", "events"};
inline const Resource kTokenReviews{"authentication.k8s.io", "v1", "tokenreviews"};
inline const Resource kLeases{"coordination.k8s.io", "v1", "leases"};
inline const Resource kMutatingWebhookConfigurations{"admissionregistration.k8s.io", "v1",
                                                     "mutatingwebhookconfigurations"};
inline const Resource kImports{"multicluster.admiralty.io", "v1alpha1", "serviceaccountimports"};
inline const Resource kImportPolicies{"multicluster.admiralty.io", "v1alpha1", "serviceaccountimportpolicies"};

struct ListOptions {
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;  // PartialObjectMetadata items: `metadata` alone
  int page_size = 500;
};

// A part of a list.
struct ListPage {
  JsonArray items;
  bool first = false;  // what came before it, if anything, is not of this list: it began anew
  size_t bytes = 0;    // as it came
};

// A whole list, its pages joined.
struct ObjectList {
  std::vector<Json> items;
  std::string resource_version;  // to start a watch from
};

struct WatchOptions {
  ListOptions list;                  // page_size is not used
  std::string resource_version;      // where to begin; empty with send_initial_events
  bool send_initial_events = false;  // the list comes as ADDED events, then a BOOKMARK that ends it (1.32+, else 4xx)
  absl::Duration timeout = absl::Minutes(5);  // the server ends the watch then
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  WatchEventType type;
  Json object;
};

// The Kubernetes API of one cluster. Neither caches nor retries (ReadModifyWrite excepted): callers have their
// workqueue for that. Borrows `transport`, which must outlive it. Thread-safe, as every HttpTransport is.
//
// Errors of all calls: those of HttpTransport, and the API server's answers through StatusFromHttp
// (status_from_http.h). `name` and `namespace_name` are put into URLs escaped; pass an empty namespace for
// cluster-scoped kinds or all namespaces.
class Client {
 public:
  explicit Client(HttpTransport& transport) : transport_(transport) {}

  absl::StatusOr<Json> Get(const Resource& resource, const ObjectKey& key, bool metadata_only = false,
                           absl::Duration timeout = absl::Seconds(15)) const;

  // Calls `on_page` for each page, in this thread, until it returns an error, which is returned. Returns the list's
  // resourceVersion. Pages whose objects are large are made of fewer than options.page_size, so that one takes 8 MiB at
  // most. A page token that expires midway is met by beginning anew once. RESOURCE_EXHAUSTED beyond kMaxListItems (an
  // empty page counts as one).
  absl::StatusOr<std::string> ListPages(const Resource& resource, const std::string& namespace_name,
                                        const ListOptions& options,
                                        const std::function<absl::Status(ListPage)>& on_page) const;

  // All pages. Errors: those of ListPages, and RESOURCE_EXHAUSTED beyond kMaxListBytes.
  absl::StatusOr<ObjectList> List(const Resource& resource, const std::string& namespace_name,
                                  const ListOptions& options = {}) const;

  // Calls `on_event` for each event in this thread until the server ends the watch (OK), `on_event` returns false (OK),
  // `canceller` says so (CANCELLED) or an error. OUT_OF_RANGE: 410, list again. ABORTED: the connection was cut under
  // the watch, go on where it was. One event is at most 4 MiB long.
  absl::Status Watch(const Resource& resource, const std::string& namespace_name, const WatchOptions& options,
                     const StreamCanceller& canceller, const std::function<bool(WatchEvent)>& on_event) const;

  absl::StatusOr<Json> Create(const Resource& resource, const std::string& namespace_name, const Json& object) const;

  // Replaces the object named in `object`; ABORTED when its resourceVersion is no longer the newest.
  absl::StatusOr<Json> Update(const Resource& resource, const Json& object, std::string_view subresource = "") const;

  // Server-side apply with force, of the fields in `object`, which must hold apiVersion, kind and metadata.name. With
  // metadata.uid it fails (FAILED_PRECONDITION) on an object that was deleted and made again.
  absl::StatusOr<Json> Apply(const Resource& resource, const Json& object, const std::string& field_manager,
                             std::string_view subresource = "") const;

  // As Apply, without writing.
  absl::StatusOr<Json> DryRunApply(const Resource& resource, const Json& object,
                                   const std::string& field_manager) const;

  // JSON merge patch (RFC 7386).
  absl::StatusOr<Json> MergePatch(const Resource& resource, const ObjectKey& key, const Json& patch,
                                  std::string_view subresource = "") const;

  // `uid`, if not empty, must be the object's (ABORTED otherwise). OK when it is already gone.
  absl::Status Delete(const Resource& resource, const ObjectKey& key, const std::string& uid = "") const;

  // POSTs `body` to a subresource ("token") of an object.
  absl::StatusOr<Json> CreateSubresource(const Resource& resource, const ObjectKey& key, std::string_view subresource,
                                         const Json& body) const;

  // Gets, lets `change` edit, and updates; again up to 5 times when someone else was faster. NOT_FOUND if it is not
  // there. `change` returns false to leave the object as it is.
  absl::StatusOr<Json> ReadModifyWrite(const Resource& resource, const ObjectKey& key,
                                       const std::function<bool(Json&)>& change) const;

  // GET of any other path: "/version".
  absl::StatusOr<Json> GetPath(const std::string& path, absl::Duration timeout = absl::Seconds(15)) const;

  HttpTransport& transport() const { return transport_; }

 private:
  absl::StatusOr<Json> SendJson(const HttpRequest& request) const;

  HttpTransport& transport_;
};

// More objects of one kind than this are an error of the cluster, not something to read into memory.
inline constexpr size_t kMaxListItems = 200'000;
inline constexpr size_t kMaxListBytes = 128 << 20;  // parsed, three times that: a broker's container has 512 MiB

// RESOURCE_EXHAUSTED if a list is beyond those.
absl::Status CheckListSize(const Resource& resource, size_t items, size_t bytes = 0);

}  // namespace k8s

#endif  // K8S_API_CLIENT_H_
