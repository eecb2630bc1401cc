#include "k8s/api/client.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "k8s/api/status_from_http.h"

namespace k8s {
namespace {

constexpr int kMaxConflictRetries = 5;
constexpr size_t kMaxEventBytes = 4 << 20;
// A page of 500 objects of 16 KB. Parsed, text that is made for it takes ten times as much.
constexpr size_t kMaxPageBytes = 8 << 20;
// Bookmarks come each minute, so longer silence means a dead connection.
constexpr absl::Duration kWatchIdleTimeout = absl::Seconds(100);

std::string Escape(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string escaped;
  for (unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      escaped += static_cast<char>(c);
    } else {
      escaped += {'%', kHex[c >> 4], kHex[c & 15]};
    }
  }
  return escaped;
}

std::string CollectionPath(const Resource& resource, const std::string& namespace_name) {
  std::string path = resource.group.empty() ? absl::StrCat("/api/", resource.version)
                                            : absl::StrCat("/apis/", resource.group, "/", resource.version);
  if (!namespace_name.empty()) absl::StrAppend(&path, "/namespaces/", Escape(namespace_name));
  return absl::StrCat(path, "/", resource.plural);
}

std::string ObjectPath(const Resource& resource, const ObjectKey& key, std::string_view subresource = "") {
  std::string path = absl::StrCat(CollectionPath(resource, key.namespace_name), "/", Escape(key.name));
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

std::string Accept(bool metadata_only, bool list) {
  if (!metadata_only) return "application/json";
  return absl::StrCat("application/json;as=PartialObjectMetadata", list ? "List" : "", ";g=meta.k8s.io;v=v1");
}

// The selectors of a list or watch as the rest of a query.
std::string Selectors(const ListOptions& options) {
  std::string query;
  if (!options.label_selector.empty()) absl::StrAppend(&query, "&labelSelector=", Escape(options.label_selector));
  if (!options.field_selector.empty()) absl::StrAppend(&query, "&fieldSelector=", Escape(options.field_selector));
  return query;
}

HttpRequest WithBody(std::string method, std::string path, const Json& body, std::string content_type) {
  HttpRequest request{.method = std::move(method), .path = std::move(path), .content_type = std::move(content_type)};
  request.body = SecretString(boost::json::serialize(body));
  return request;
}

std::optional<WatchEventType> ParseEventType(const std::string& type) {
  if (type == "ADDED") return WatchEventType::kAdded;
  if (type == "MODIFIED") return WatchEventType::kModified;
  if (type == "DELETED") return WatchEventType::kDeleted;
  if (type == "BOOKMARK") return WatchEventType::kBookmark;
  return std::nullopt;
}

// One line of a watch. OUT_OF_RANGE and other errors come as an event of type ERROR with HTTP status 200.
absl::StatusOr<WatchEvent> ParseWatchEvent(std::string_view line) {
  absl::StatusOr<Json> json = ParseJson(line);
  if (!json.ok()) return json.status();
  const Json* object = Find(*json, {"object"});
  if (object == nullptr) return absl::InvalidArgumentError("a watch event has no object");
  const std::string type = StringAt(*json, {"type"});
  if (type == "ERROR") {
    return StatusFromHttp(static_cast<int>(IntAt(*object, {"code"})), boost::json::serialize(*object));
  }
  const std::optional<WatchEventType> known = ParseEventType(type);
  if (!known) return absl::InvalidArgumentError("a watch event has an unknown type");
  return WatchEvent{*known, std::move(json->get_object()["object"])};
}

absl::StatusOr<Json> JsonOf(const HttpResponse& response) {
  if (response.status >= 400) return StatusFromHttp(response.status, response.body.Reveal());
  if (response.status >= 300) {
    return absl::UnavailableError(
        absl::StrCat("the server redirects (HTTP ", response.status, "), which is not followed"));
  }
  absl::StatusOr<Json> json = ParseJson(response.body.Reveal());
  // Callers reach into the answer, and Boost asserts: no server, nor what stands in front of it, may end us so.
  if (json.ok() && !json->is_object()) return absl::InvalidArgumentError("the server's answer is no JSON object");
  return json;
}

}  // namespace

absl::Status CheckListSize(const Resource& resource, size_t items, size_t bytes) {
  if (items <= kMaxListItems && bytes <= kMaxListBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("there are more than ", kMaxListItems, " ", resource.plural,
                                                   " or than ", kMaxListBytes >> 20, " MiB of them"));
}

absl::StatusOr<Json> Client::SendJson(const HttpRequest& request) const {
  absl::StatusOr<HttpResponse> response = transport_.Send(request);
  if (!response.ok()) return response.status();
  return JsonOf(*response);
}

absl::StatusOr<Json> Client::Get(const Resource& resource, const ObjectKey& key, bool metadata_only,
                                 absl::Duration timeout) const {
  return SendJson({.method = "GET",
                   .path = ObjectPath(resource, key),
                   .accept = Accept(metadata_only, /*list=*/false),
                   .timeout = timeout});
}

absl::StatusOr<std::string> Client::ListPages(const Resource& resource, const std::string& namespace_name,
                                              const ListOptions& options,
                                              const std::function<absl::Status(ListPage)>& on_page) const {
  std::string page_token;
  int page_size = options.page_size;
  bool began_anew = false;
  for (size_t pages = 0, count = 0;; ++pages) {
    if (absl::Status status = CheckListSize(resource, std::max(count, pages)); !status.ok()) return status;
    std::string path = absl::StrCat(CollectionPath(resource, namespace_name), "?limit=", page_size, Selectors(options));
    if (!page_token.empty()) absl::StrAppend(&path, "&continue=", Escape(page_token));
    absl::StatusOr<HttpResponse> response = transport_.Send({.method = "GET",
                                                             .path = path,
                                                             .accept = Accept(options.metadata_only, /*list=*/true),
                                                             .max_response_bytes = kMaxPageBytes});
    if (absl::IsResourceExhausted(response.status()) && page_size > 1) {
      page_size = std::max(1, page_size / 4);
      continue;
    }
    if (!response.ok()) return response.status();
    absl::StatusOr<Json> json = JsonOf(*response);
    if (absl::IsOutOfRange(json.status()) && !page_token.empty() && !std::exchange(began_anew, true)) {
      page_token.clear();
      count = 0;
      continue;
    }
    if (!json.ok()) return json.status();
    ListPage page{.first = page_token.empty(), .bytes = response->body.Reveal().size()};
    page_token = StringAt(*json, {"metadata", "continue"});
    if (Json* items = json->get_object().if_contains("items"); items != nullptr && items->is_array()) {
      page.items = std::move(items->get_array());
    }
    count += page.items.size();
    if (absl::Status status = on_page(std::move(page)); !status.ok()) return status;
    if (page_token.empty()) return StringAt(*json, {"metadata", "resourceVersion"});
  }
}

absl::StatusOr<ObjectList> Client::List(const Resource& resource, const std::string& namespace_name,
                                        const ListOptions& options) const {
  ObjectList list;
  size_t bytes = 0;
  absl::StatusOr<std::string> version = ListPages(resource, namespace_name, options, [&](ListPage page) {
    if (page.first) list.items.clear(), bytes = 0;
    for (Json& item : page.items) list.items.push_back(std::move(item));
    return CheckListSize(resource, list.items.size(), bytes += page.bytes);
  });
  if (!version.ok()) return version.status();
  list.resource_version = *std::move(version);
  return list;
}

absl::Status Client::Watch(const Resource& resource, const std::string& namespace_name, const WatchOptions& options,
                           const StreamCanceller& canceller, const std::function<bool(WatchEvent)>& on_event) const {
  std::string path =
      absl::StrCat(CollectionPath(resource, namespace_name),
                   "?watch=1&allowWatchBookmarks=true&timeoutSeconds=", absl::ToInt64Seconds(options.timeout),
                   Selectors(options.list));
  if (options.send_initial_events) {
    absl::StrAppend(&path, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
  }
  if (!options.resource_version.empty()) absl::StrAppend(&path, "&resourceVersion=", Escape(options.resource_version));

  std::string line;
  absl::Status event_error;
  const auto on_data = [&](std::string_view data) {
    while (!data.empty()) {
      const size_t end = data.find('\n');
      if (line.size() + std::min(end, data.size()) > kMaxEventBytes) {
        event_error = absl::ResourceExhaustedError("a watch event is larger than 4 MiB");
        return false;
      }
      line.append(data.substr(0, end));
      if (end == std::string_view::npos) return true;
      data.remove_prefix(end + 1);
      if (line.empty()) continue;
      absl::StatusOr<WatchEvent> event = ParseWatchEvent(line);
      line.clear();
      if (!event.ok()) {
        event_error = event.status();
        return false;
      }
      if (!on_event(*std::move(event))) return false;
    }
    return true;
  };
  absl::StatusOr<HttpResponse> response =
      transport_.Stream({.method = "GET", .path = path, .accept = Accept(options.list.metadata_only, /*list=*/false)},
                        kWatchIdleTimeout, canceller, on_data);
  if (!event_error.ok()) return event_error;
  if (!response.ok()) return response.status();
  if (response->status != 200) return StatusFromHttp(response->status, response->body.Reveal());
  return absl::OkStatus();
}

absl::StatusOr<Json> Client::Create(const Resource& resource, const std::string& namespace_name,
                                    const Json& object) const {
  return SendJson(WithBody("POST", CollectionPath(resource, namespace_name), object, "application/json"));
}

absl::StatusOr<Json> Client::Update(const Resource& resource, const Json& object, std::string_view subresource) const {
  return SendJson(WithBody("PUT", ObjectPath(resource, KeyOf(object), subresource), object, "application/json"));
}

absl::StatusOr<Json> Client::Apply(const Resource& resource, const Json& object, const std::string& field_manager,
                                   std::string_view subresource) const {
  // JSON under this name is right: the server reads it as YAML, and knows no apply-patch+json.
  return SendJson(WithBody("PATCH",
                           absl::StrCat(ObjectPath(resource, KeyOf(object), subresource),
                                        "?force=true&fieldManager=", Escape(field_manager)),
                           object, "application/apply-patch+yaml"));
}

absl::StatusOr<Json> Client::DryRunApply(const Resource& resource, const Json& object,
                                         const std::string& field_manager) const {
  return SendJson(WithBody(
      "PATCH",
      absl::StrCat(ObjectPath(resource, KeyOf(object)), "?dryRun=All&force=true&fieldManager=", Escape(field_manager)),
      object, "application/apply-patch+yaml"));
}

absl::StatusOr<Json> Client::MergePatch(const Resource& resource, const ObjectKey& key, const Json& patch,
                                        std::string_view subresource) const {
  return SendJson(WithBody("PATCH", ObjectPath(resource, key, subresource), patch, "application/merge-patch+json"));
}

absl::Status Client::Delete(const Resource& resource, const ObjectKey& key, const std::string& uid) const {
  JsonObject options{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!uid.empty()) options["preconditions"] = JsonObject{{"uid", uid}};
  const absl::Status status =
      SendJson(WithBody("DELETE", ObjectPath(resource, key), options, "application/json")).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<Json> Client::CreateSubresource(const Resource& resource, const ObjectKey& key,
                                               std::string_view subresource, const Json& body) const {
  return SendJson(WithBody("POST", ObjectPath(resource, key, subresource), body, "application/json"));
}

absl::StatusOr<Json> Client::ReadModifyWrite(const Resource& resource, const ObjectKey& key,
                                             const std::function<bool(Json&)>& change) const {
  for (int retries = 0;; ++retries) {
    absl::StatusOr<Json> object = Get(resource, key);
    if (!object.ok() || !change(*object)) return object;
    absl::StatusOr<Json> updated = Update(resource, *object);
    if (!absl::IsAborted(updated.status()) || retries == kMaxConflictRetries) return updated;
  }
}

absl::StatusOr<Json> Client::GetPath(const std::string& path, absl::Duration timeout) const {
  return SendJson({.method = "GET", .path = path, .timeout = timeout});
}

}  // namespace k8s
