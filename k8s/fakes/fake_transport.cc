#include "k8s/fakes/fake_transport.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace k8s {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(10);

// Owned strings: Debian's absl::string_view is not std::string_view.
std::vector<std::string> Split(const std::string& text, char separator) {
  return absl::StrSplit(text, separator);
}

std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::map<std::string, std::string> ParseQuery(const std::string& url) {
  std::map<std::string, std::string> query;
  const size_t mark = url.find('?');
  if (mark == std::string::npos) return query;
  for (const std::string& pair : Split(url.substr(mark + 1), '&')) {
    const std::vector<std::string> parts = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    query[parts[0]] = parts.size() > 1 ? Unescape(parts[1]) : "";
  }
  return query;
}

std::string LineOf(const HttpRequest& request) {
  return absl::StrCat(request.method, " ", request.path);
}

HttpResponse Answer(int status, const Json& body) {
  HttpResponse response;
  response.status = status;
  response.body = SecretString(boost::json::serialize(body));
  return response;
}

JsonObject StatusObject(int status, const std::string& reason, const std::string& message, const ApiPath& at) {
  return JsonObject{{"kind", "Status"},       {"apiVersion", "v1"},
                    {"status", "Failure"},    {"message", message},
                    {"reason", reason},       {"details", JsonObject{{"name", at.name}, {"kind", at.plural}}},
                    {"code", int64_t{status}}};
}

HttpResponse Refuse(int status, const std::string& reason, const std::string& message, const ApiPath& at) {
  return Answer(status, StatusObject(status, reason, message, at));
}

JsonObject& ObjectAt(JsonObject& parent, std::string_view key) {
  Json& value = parent[key];
  return value.is_object() ? value.get_object() : value.emplace_object();
}

// RFC 7386; an apply never deletes, but its bodies hold no null either.
void Merge(Json& target, const Json& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target.emplace_object();
  for (const auto& [key, value] : patch.get_object()) {
    if (value.is_null()) {
      target.get_object().erase(key);
    } else {
      Merge(target.get_object()[key], value);
    }
  }
}

Json AsAccepted(const Json& object, const std::string& accept) {
  if (!absl::StrContains(accept, "as=PartialObjectMetadata")) return object;
  const Json* metadata = k8s::Find(object, {"metadata"});
  return JsonObject{{"apiVersion", "meta.k8s.io/v1"},
                    {"kind", "PartialObjectMetadata"},
                    {"metadata", metadata == nullptr ? Json(JsonObject()) : *metadata}};
}

bool InCollection(const ApiPath& object, const ApiPath& collection) {
  return object.prefix == collection.prefix && object.plural == collection.plural &&
         (collection.namespace_name.empty() || object.namespace_name == collection.namespace_name);
}

bool Selected(const Json& object, const std::map<std::string, std::string>& query) {
  if (const auto labels = query.find("labelSelector"); labels != query.end()) {
    for (const std::string& term : Split(labels->second, ',')) {
      const std::vector<std::string> parts = absl::StrSplit(term, absl::MaxSplits('=', 1));
      const Json* value = k8s::Find(object, {"metadata", "labels", parts[0]});
      if (value == nullptr || (parts.size() > 1 && *value != Json(parts[1]))) return false;
    }
  }
  if (const auto fields = query.find("fieldSelector"); fields != query.end()) {
    for (const std::string& term : Split(fields->second, ',')) {
      const std::vector<std::string> parts = absl::StrSplit(term, absl::MaxSplits('=', 1));
      const Json* value = &object;
      for (const std::string& step : Split(parts[0], '.')) {
        if (value != nullptr) value = k8s::Find(*value, {step});
      }
      if (parts.size() < 2 || value == nullptr || *value != Json(parts[1])) return false;
    }
  }
  return true;
}

std::string EventLine(std::string_view type, const Json& object) {
  return boost::json::serialize(JsonObject{{"type", type}, {"object", object}}) + "\n";
}

}  // namespace

ApiPath ParseApiPath(std::string_view path) {
  const std::string plain(path.substr(0, path.find('?')));
  const std::vector<std::string> all = absl::StrSplit(plain, '/', absl::SkipEmpty());
  const size_t head = !all.empty() && all[0] == "api" ? 2 : 3;
  if (all.size() <= head) return {.prefix = plain};
  ApiPath at{.prefix = absl::StrCat("/", absl::StrJoin(all.begin(), all.begin() + head, "/"))};
  std::vector<std::string> rest(all.begin() + head, all.end());
  for (std::string& step : rest) step = Unescape(step);
  // "namespaces/ns/status" is the Namespace itself, "namespaces/ns/secrets" what is in it.
  if (rest.size() >= 3 && rest[0] == "namespaces" && rest[2] != "status" && rest[2] != "finalize") {
    at.namespace_name = rest[1];
    rest.erase(rest.begin(), rest.begin() + 2);
  }
  at.plural = rest[0];
  if (rest.size() > 1) at.name = rest[1];
  if (rest.size() > 2) at.subresource = rest[2];
  return at;
}

void FakeTransport::Put(const std::string& path, Json object) {
  std::lock_guard lock(mu_);
  StoreLocked(ParseApiPath(path), std::move(object));
}

void FakeTransport::Remove(const std::string& path) {
  std::lock_guard lock(mu_);
  EraseLocked(ParseApiPath(path));
}

std::optional<Json> FakeTransport::Find(const std::string& path) const {
  std::lock_guard lock(mu_);
  const auto found = objects_.find(ParseApiPath(path));
  if (found == objects_.end()) return std::nullopt;
  return found->second;
}

void FakeTransport::FailNext(const std::string& prefix, int count, int http_status) {
  std::lock_guard lock(mu_);
  faults_.push_back({prefix, count, http_status, absl::OkStatus()});
}

void FakeTransport::FailNext(const std::string& prefix, int count, absl::Status error) {
  std::lock_guard lock(mu_);
  faults_.push_back({prefix, count, 0, std::move(error)});
}

void FakeTransport::Hang(const std::string& prefix) {
  std::lock_guard lock(mu_);
  hanging_.push_back(prefix);
}

void FakeTransport::Release() {
  {
    std::lock_guard lock(mu_);
    hanging_.clear();
    ++releases_;
  }
  changed_.notify_all();
}

void FakeTransport::Respond(const std::string& prefix, Responder responder) {
  std::lock_guard lock(mu_);
  responders_.emplace_back(prefix, std::move(responder));
}

void FakeTransport::SetWatchList(WatchList support) {
  std::lock_guard lock(mu_);
  watch_list_ = support;
}

void FakeTransport::SendBookmark() {
  {
    std::lock_guard lock(mu_);
    history_.push_back({version_, "BOOKMARK", {}, JsonObject{}});
  }
  changed_.notify_all();
}

void FakeTransport::EndWatches() {
  {
    std::lock_guard lock(mu_);
    ++watch_epoch_;
  }
  changed_.notify_all();
}

void FakeTransport::ForgetHistory() {
  std::lock_guard lock(mu_);
  forgotten_ = ++version_;
}

std::vector<FakeTransport::Request> FakeTransport::requests() const {
  std::lock_guard lock(mu_);
  return requests_;
}

int FakeTransport::CountRequests(std::string_view prefix) const {
  std::lock_guard lock(mu_);
  return CountLocked(prefix);
}

bool FakeTransport::WaitForRequests(std::string_view prefix, int count, absl::Duration timeout) const {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return CountLocked(prefix) >= count; });
}

int FakeTransport::CountLocked(std::string_view prefix) const {
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(), [&](const Request& request) {
    return (request.method + " " + request.path).starts_with(prefix);
  }));
}

// Records the request, and answers it if a fault or a responder is set for it. The caller goes on under the same lock,
// so that who has seen a watch in requests() knows that it is there for EndWatches() and SendBookmark().
std::optional<absl::StatusOr<HttpResponse>> FakeTransport::Intercept(std::unique_lock<std::mutex>& lock,
                                                                     const HttpRequest& request,
                                                                     absl::Duration hang_limit,
                                                                     const StreamCanceller* canceller) {
  const std::string line = LineOf(request);
  requests_.push_back({request.method, request.path, std::string(request.body.Reveal())});
  changed_.notify_all();
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (!line.starts_with(fault->prefix)) continue;
    const Fault hit = *fault;
    if (--fault->count <= 0) faults_.erase(fault);
    if (!hit.error.ok()) return hit.error;
    return Refuse(hit.http_status, hit.http_status == 410 ? "Expired" : "Fault", "as the test wants it",
                  ParseApiPath(request.path));
  }
  if (std::any_of(hanging_.begin(), hanging_.end(), [&](const auto& prefix) { return line.starts_with(prefix); })) {
    const auto give_up = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(hang_limit);
    const int64_t releases = releases_;
    while (releases == releases_) {
      if (canceller != nullptr && canceller->Cancelled()) return absl::CancelledError("cancelled");
      if (std::chrono::steady_clock::now() >= give_up) return absl::DeadlineExceededError("no answer in time");
      changed_.wait_for(lock, kPoll);
    }
  }
  for (const auto& [prefix, responder] : responders_) {
    if (!line.starts_with(prefix)) continue;
    const Responder respond = responder;
    lock.unlock();  // it may call us
    return respond(request);
  }
  return std::nullopt;
}

absl::StatusOr<HttpResponse> FakeTransport::Send(const HttpRequest& request) {
  std::unique_lock lock(mu_);
  absl::StatusOr<HttpResponse> response;
  if (auto answer = Intercept(lock, request, request.timeout, nullptr)) {
    response = *std::move(answer);
  } else {
    response = AnswerLocked(request);
  }
  if (response.ok() && response->body.Reveal().size() > request.max_response_bytes) {
    return absl::ResourceExhaustedError("the answer is too large");
  }
  return response;
}

absl::StatusOr<HttpResponse> FakeTransport::Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                                   const StreamCanceller& canceller,
                                                   const std::function<bool(std::string_view)>& on_data) {
  std::unique_lock lock(mu_);
  const auto tell_head = [&](const HttpResponse& head) {  // outside of the lock
    if (request.on_head) request.on_head(head);
    return head;
  };
  if (auto answer = Intercept(lock, request, idle_timeout, &canceller)) {
    if (lock.owns_lock()) lock.unlock();
    if (answer->ok()) tell_head(**answer);
    if (answer->ok() && (*answer)->status == 200) on_data((*answer)->body.Reveal());
    return *std::move(answer);
  }
  const ApiPath at = ParseApiPath(request.path);
  const Query query = ParseQuery(request.path);
  const auto argument = [&](const char* name) { return query.contains(name) ? query.at(name) : std::string(); };

  const bool initial_events = argument("sendInitialEvents") == "true" && watch_list_ != WatchList::kUnknown;
  if (initial_events && watch_list_ == WatchList::kRefused) {
    lock.unlock();
    return tell_head(Refuse(422, "Invalid", "sendInitialEvents is forbidden for watch", at));
  }
  std::string pending;  // lines to send, outside of the lock
  int64_t from = version_;
  size_t next = history_.size();
  if (argument("resourceVersion").empty()) {
    for (const auto& [path, object] : objects_) {
      if (InCollection(path, at) && Selected(object, query)) {
        pending += EventLine("ADDED", AsAccepted(object, request.accept));
      }
    }
    if (initial_events) {
      pending += EventLine(
          "BOOKMARK",
          JsonObject{{"metadata", JsonObject{{"resourceVersion", absl::StrCat(version_)},
                                             {"annotations", JsonObject{{"k8s.io/initial-events-end", "true"}}}}}});
    }
  } else if (!absl::SimpleAtoi(argument("resourceVersion"), &from) || from < forgotten_) {
    pending = EventLine("ERROR", StatusObject(410, "Expired", "too old resource version", at));
    lock.unlock();
    HttpResponse head = tell_head(Answer(200, JsonObject()));
    on_data(pending);
    return head;
  } else {
    next = 0;
  }

  const int64_t epoch = watch_epoch_;
  lock.unlock();
  tell_head(Answer(200, JsonObject()));
  lock.lock();
  auto last_data = std::chrono::steady_clock::now();
  while (true) {
    for (; next < history_.size(); ++next) {
      const Change& change = history_[next];
      if (change.type == "BOOKMARK") {
        pending += EventLine("BOOKMARK",
                             JsonObject{{"metadata", JsonObject{{"resourceVersion", absl::StrCat(change.version)}}}});
      } else if (change.version > from && InCollection(change.at, at) && Selected(change.object, query)) {
        pending += EventLine(change.type, AsAccepted(change.object, request.accept));
      }
    }
    if (!pending.empty()) {
      const std::string data = std::exchange(pending, "");
      lock.unlock();
      // In two pieces, because a real connection cuts lines anywhere.
      if (!on_data(std::string_view(data).substr(0, data.size() / 2))) return Answer(200, JsonObject());
      if (!on_data(std::string_view(data).substr(data.size() / 2))) return Answer(200, JsonObject());
      lock.lock();
      last_data = std::chrono::steady_clock::now();
      continue;
    }
    if (epoch != watch_epoch_) return Answer(200, JsonObject());
    if (canceller.Cancelled()) return absl::CancelledError("cancelled");
    if (std::chrono::steady_clock::now() - last_data > absl::ToChronoNanoseconds(idle_timeout)) {
      return absl::DeadlineExceededError("silence");
    }
    changed_.wait_for(lock, kPoll);
  }
}

HttpResponse FakeTransport::AnswerLocked(const HttpRequest& request) {
  const ApiPath at = ParseApiPath(request.path);
  const Query query = ParseQuery(request.path);
  if (request.method == "GET" && at.name.empty()) return ListLocked(at, query, request.accept);
  Json body;
  if (!request.body.empty()) {
    absl::StatusOr<Json> parsed = ParseJson(request.body.Reveal());
    if (!parsed.ok()) return Refuse(400, "BadRequest", "malformed body", at);
    body = *std::move(parsed);
  }
  ApiPath object_path = at;
  object_path.subresource.clear();
  const auto found = objects_.find(object_path);
  if (request.method == "GET" || request.method == "DELETE") {
    if (found == objects_.end())
      return Refuse(404, "NotFound", absl::StrCat(at.plural, " \"", at.name, "\" not found"), at);
    if (request.method == "GET") return Answer(200, AsAccepted(found->second, request.accept));
    const std::string uid = StringAt(body, {"preconditions", "uid"});
    if (!uid.empty() && uid != StringAt(found->second, {"metadata", "uid"})) {
      return Refuse(409, "Conflict", "the UID in the precondition does not match", at);
    }
    EraseLocked(object_path);
    return Answer(200, JsonObject{{"kind", "Status"}, {"status", "Success"}});
  }
  return WriteLocked(at, request, std::move(body), query.contains("dryRun"));
}

HttpResponse FakeTransport::ListLocked(const ApiPath& at, const Query& query, const std::string& accept) {
  if (absl::StrContains(accept, "as=PartialObjectMetadata;")) {
    return Refuse(406, "NotAcceptable", "lists are PartialObjectMetadataList", at);
  }
  int64_t limit = 0, skip = 0;
  if (query.contains("limit")) (void)absl::SimpleAtoi(query.at("limit"), &limit);
  if (query.contains("continue")) (void)absl::SimpleAtoi(query.at("continue"), &skip);
  JsonArray items;
  JsonObject metadata{{"resourceVersion", absl::StrCat(version_)}};
  int64_t index = 0;
  for (const auto& [path, object] : objects_) {
    if (!InCollection(path, at) || !Selected(object, query) || index++ < skip) continue;
    if (limit > 0 && static_cast<int64_t>(items.size()) == limit) {
      metadata["continue"] = absl::StrCat(skip + limit);
      break;
    }
    items.push_back(AsAccepted(object, accept));
  }
  return Answer(200, JsonObject{{"kind", "List"}, {"metadata", std::move(metadata)}, {"items", std::move(items)}});
}

HttpResponse FakeTransport::WriteLocked(const ApiPath& at, const HttpRequest& request, Json body, bool dry_run) {
  ApiPath object_path = at;
  object_path.subresource.clear();
  if (request.method == "POST") object_path.name = StringAt(body, {"metadata", "name"});
  const auto found = objects_.find(object_path);
  const bool exists = found != objects_.end();
  const bool apply = request.content_type == "application/apply-patch+yaml";
  if (request.method == "POST" && exists) return Refuse(409, "AlreadyExists", "already exists", object_path);
  if (!exists && request.method != "POST" && !apply) return Refuse(404, "NotFound", "not found", at);

  Json next = exists ? found->second : Json(JsonObject());
  if (exists) {
    const std::string version = StringAt(body, {"metadata", "resourceVersion"});
    if (!version.empty() && version != StringAt(next, {"metadata", "resourceVersion"})) {
      return Refuse(409, "Conflict", "the object has been modified", at);
    }
  }
  if (const std::string uid = StringAt(body, {"metadata", "uid"});
      apply && !uid.empty() && uid != StringAt(next, {"metadata", "uid"})) {
    return Refuse(422, "Invalid", "metadata.uid: Invalid value: field is immutable", at);
  }
  if (at.subresource.empty() && request.method != "PATCH") {
    const Json* old_metadata = exists ? k8s::Find(found->second, {"metadata"}) : nullptr;
    const Json kept = old_metadata != nullptr ? *old_metadata : Json(JsonObject());
    next = std::move(body);
    if (exists) ObjectAt(next.get_object(), "metadata")["uid"] = StringAt(kept, {"uid"});
  } else if (at.subresource.empty()) {
    Merge(next, body);
  } else if (const Json* status = k8s::Find(body, {"status"})) {
    Merge(next.get_object()["status"], *status);
  }
  if (dry_run) return Answer(200, next);
  StoreLocked(object_path, std::move(next));
  return Answer(exists ? 200 : 201, objects_[object_path]);
}

void FakeTransport::StoreLocked(const ApiPath& at, Json object) {
  const auto found = objects_.find(at);
  const bool exists = found != objects_.end();
  JsonObject& metadata = ObjectAt(object.get_object(), "metadata");
  metadata["name"] = at.name;
  if (!at.namespace_name.empty()) metadata["namespace"] = at.namespace_name;
  if (StringAt(object, {"metadata", "uid"}).empty()) {
    metadata["uid"] = exists ? StringAt(found->second, {"metadata", "uid"}) : absl::StrCat("uid-", next_uid_++);
  }
  if (exists) {
    metadata["resourceVersion"] = StringAt(found->second, {"metadata", "resourceVersion"});
    const int64_t generation = IntAt(found->second, {"metadata", "generation"});
    const Json* before = k8s::Find(found->second, {"spec"});
    const Json* after = k8s::Find(object, {"spec"});
    const bool same_spec = (before == nullptr) == (after == nullptr) && (before == nullptr || *before == *after);
    metadata["generation"] = same_spec ? generation : generation + 1;
    // A write that changes nothing is no event, as on a real server.
    if (object == found->second) return;
  } else {
    metadata["generation"] = 1;
  }
  metadata["resourceVersion"] = absl::StrCat(++version_);
  history_.push_back({version_, exists ? "MODIFIED" : "ADDED", at, object});
  objects_[at] = std::move(object);
  changed_.notify_all();
}

void FakeTransport::EraseLocked(const ApiPath& at) {
  auto node = objects_.extract(at);
  if (!node) return;
  ObjectAt(node.mapped().get_object(), "metadata")["resourceVersion"] = absl::StrCat(++version_);
  history_.push_back({version_, "DELETED", at, std::move(node.mapped())});
  changed_.notify_all();
}

}  // namespace k8s
