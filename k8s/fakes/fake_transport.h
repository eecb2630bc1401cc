#ifndef K8S_FAKES_FAKE_TRANSPORT_H_
#define K8S_FAKES_FAKE_TRANSPORT_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/api/http_transport.h"
#include "k8s/core/json.h"

namespace k8s {

// Where an object of an API server lives: "/apis/group/v1/namespaces/ns/plural/name/subresource", split.
struct ApiPath {
  std::string prefix;  // "/api/v1", "/apis/group/v1"
  std::string plural;
  std::string namespace_name;
  std::string name;  // empty for a collection
  std::string subresource;

  friend auto operator<=>(const ApiPath&, const ApiPath&) = default;
};
ApiPath ParseApiPath(std::string_view path);

// An API server in memory, for races and faults that a real one shows only by luck; what a real one can show is tested
// against a real one. It gets, lists (paged, by selectors `key=value`), watches, creates, updates, patches, applies
// (a deep merge; no field ownership) and deletes, with resourceVersion, uid and generation. No validation.
//
// Objects are named by the paths of their URLs, faults by a prefix of "METHOD /path?query". Thread-safe. Waits take
// real time.
class FakeTransport final : public HttpTransport {
 public:
  struct Request {
    std::string method;
    std::string path;  // with the query
    std::string body;
  };
  using Responder = std::function<HttpResponse(const HttpRequest&)>;

  // What another client does. Put() gives uid and resourceVersion, and fills in name and namespace.
  void Put(const std::string& path, Json object);
  void Remove(const std::string& path);
  // The object as it is, or nullopt.
  std::optional<Json> Find(const std::string& path) const;

  // The next `count` matching requests are answered with this HTTP status, or end with this error.
  void FailNext(const std::string& prefix, int count, int http_status);
  void FailNext(const std::string& prefix, int count, absl::Status error);
  // Matching requests begun from now on get no answer: until Release(), their timeout, or their canceller.
  void Hang(const std::string& prefix);
  void Release();
  // Answers matching requests instead of us, for subresources such as "token".
  void Respond(const std::string& prefix, Responder responder);

  enum class WatchList {
    kSupported,
    kRefused,  // 422: the feature is off
    kUnknown,  // ignored as any unknown parameter, as before 1.27: the events come, their end mark does not
  };
  void SetWatchList(WatchList support);
  void SendBookmark();   // to all watches
  void EndWatches();     // as at their timeout
  void ForgetHistory();  // a resourceVersion from before now is 410

  std::vector<Request> requests() const;
  int CountRequests(std::string_view prefix) const;  // by prefix of "METHOD /path?query"
  // Whether that many have come by then.
  bool WaitForRequests(std::string_view prefix, int count, absl::Duration timeout = absl::Seconds(10)) const;

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;
  absl::StatusOr<HttpResponse> Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                      const StreamCanceller& canceller,
                                      const std::function<bool(std::string_view)>& on_data) override;

 private:
  struct Change {
    int64_t version;
    std::string type;  // "ADDED", ...
    ApiPath at;        // empty of a bookmark
    Json object;
  };
  struct Fault {
    std::string prefix;
    int count;
    int http_status;
    absl::Status error;
  };
  using Query = std::map<std::string, std::string>;

  std::optional<absl::StatusOr<HttpResponse>> Intercept(std::unique_lock<std::mutex>& lock, const HttpRequest& request,
                                                        absl::Duration hang_limit, const StreamCanceller* canceller);
  HttpResponse AnswerLocked(const HttpRequest& request);
  HttpResponse ListLocked(const ApiPath& at, const Query& query, const std::string& accept);
  HttpResponse WriteLocked(const ApiPath& at, const HttpRequest& request, Json body, bool dry_run);
  void StoreLocked(const ApiPath& at, Json object);
  void EraseLocked(const ApiPath& at);
  int CountLocked(std::string_view prefix) const;

  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  // All below is guarded by mu_.
  std::map<ApiPath, Json> objects_;
  std::vector<Change> history_;
  int64_t version_ = 100;
  int64_t forgotten_ = 0;  // versions before this are gone
  int64_t next_uid_ = 1;
  int64_t watch_epoch_ = 0;  // a watch ends when it is no longer the one it began in
  WatchList watch_list_ = WatchList::kSupported;
  std::list<Fault> faults_;
  std::vector<std::string> hanging_;
  int64_t releases_ = 0;
  std::vector<std::pair<std::string, Responder>> responders_;
  std::vector<Request> requests_;
};

}  // namespace k8s

#endif  // K8S_FAKES_FAKE_TRANSPORT_H_
