#include "sidecar/sidecar.h"

#include <absl/strings/str_cat.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "k8s/api/log.h"
#include "k8s/api/mounted_import.h"
#include "k8s/core/build_kubeconfig.h"
#include "k8s/core/names.h"
#include "sidecar/atomic_files.h"
#include "sidecar/broker_stream.h"
#include "sidecar/footprint.h"
#include "sidecar/unix_socket.h"

namespace sidecar {
namespace {

using k8s::Log;
using k8s::LogLevel;
using ::mcsa::v1::Config;

constexpr size_t kMaxConnections = 256;
constexpr absl::Duration kWriteAgain = absl::Seconds(5);
// In case inotify misses what it should not miss; without a stream the mounts are all we hear from.
constexpr absl::Duration kMountPoll = absl::Seconds(30);
constexpr absl::Duration kStartup = absl::Seconds(5);
constexpr mode_t kKubeconfigMode = 0644;
constexpr mode_t kPluginMode = 0755;

std::string JoinPath(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

std::string ImportDirectory(const Options& options, const std::string& import) {
  return absl::StrCat(options.directory, "/imports/", import);
}

std::string PluginPath(const Options& options) {
  return JoinPath(options.directory, "bin/mcsa-credential");
}

absl::StatusOr<FileContents> ReadImport(const std::string& directory, const std::string& name) {
  return k8s::ReadMountedImport(directory, name, {k8s::kServerKey, k8s::kCaKey, k8s::kNamespaceKey, k8s::kTokenKey});
}

// What the log says of an import; it changes when there is something to say.
std::string Describe(const mcsa::v1::ImportState& state) {
  if (state.has_error()) return absl::StrCat(state.error().reason(), ": ", state.error().message());
  const Config& config = state.config();
  const char* name = config.state() == Config::FRESH ? "fresh" : config.state() == Config::STALE ? "stale" : "expired";
  return config.state_reason().empty() ? name : absl::StrCat(name, ": ", config.state_reason());
}

void Watch(int epoll, int file, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = file}};
  if (file >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event);
}

}  // namespace

Sidecar::Sidecar(Options options, const k8s::Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      wake_up_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  std::vector<std::string> names = options_.imports;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (std::string& name : names) views_.push_back({.name = std::move(name)});
  logged_.resize(views_.size());
  connection_ = {.up = false, .since = Now(), .error = "it is being opened"};
}

Sidecar::~Sidecar() {
  close(epoll_);
  close(wake_up_);
}

absl::Status Sidecar::Run(int stop_signals) {
  Prepare();
  Publish();
  const absl::StatusOr<int> listener = ListenOn(JoinPath(options_.directory, "mcsa.sock"));
  if (!listener.ok()) return listener.status();
  StartStream();
  startup_ends_at_ = clock_.Monotonic() + kStartup;

  Watch(epoll_, stop_signals, EPOLLIN);
  Watch(epoll_, *listener, EPOLLIN);
  Watch(epoll_, wake_up_, EPOLLIN);
  Watch(epoll_, mounts_->file(), EPOLLIN);
  for (;;) {
    epoll_event events[16];
    const int ready = epoll_wait(epoll_, events, std::size(events), MillisecondsToNextChange());
    // Also beside events: there may be no moment without one.
    const absl::Duration now = clock_.Monotonic();
    bool changed = now >= changes_at_ || (write_again_at_ && now >= *write_again_at_);
    if (!connection_.up && now >= read_mounts_at_) {
      mounts_->Drain();
      ReadMounts();
      changed = true;
    }
    if (startup_ends_at_ && now >= *startup_ends_at_) {
      startup_ends_at_.reset();
      ReturnStartupPages();
    }
    for (int i = 0; i < ready; ++i) {
      const int file = events[i].data.fd;
      if (file == stop_signals) return absl::OkStatus();
      if (file == *listener) {
        Accept(*listener);
      } else if (file == wake_up_) {
        changed |= ReadMail();
      } else if (file == mounts_->file()) {
        mounts_->Drain();
        ReadMounts();
        changed = true;
      } else {
        Forget(file);
      }
    }
    if (changed) Publish();
  }
}

// Everything that apps need, before anything that takes time.
void Sidecar::Prepare() {
  std::vector<std::string> mounts;
  for (ImportView& view : views_) {
    // The kubelet mounts it into the apps, so that it has to be there before they start, credential or not.
    const std::string directory = ImportDirectory(options_, view.name);
    if (const absl::Status made = MakeDirectories(directory); !made.ok()) {
      Log(LogLevel::kError, "an import's directory cannot be made; it is served on the socket alone",
          {{"import", view.name}, {"error", std::string(made.message())}});
    }
    mounts.push_back(JoinPath(options_.secrets_directory, view.name));
    if (const absl::StatusOr<FileContents> files = ReadImport(options_.directory + "/imports", view.name); files.ok()) {
      ApplyOwnFiles(view, *files, Now());
    }
  }
  mounts_.emplace(std::move(mounts));
  ReadMounts();
}

void Sidecar::StartStream() {
  BrokerStreamOptions options{.broker = options_.broker, .credentials_directory = options_.credentials_directory};
  for (const ImportView& view : views_) options.imports.push_back(view.name);
  const auto wake_up = [this] { eventfd_write(wake_up_, 1); };
  StartBrokerStream(std::move(options), {.on_message =
                                             [this, wake_up](mcsa::v1::WatchConfigsResponse message) {
                                               std::lock_guard lock(mu_);
                                               mail_.emplace_back(std::move(message));
                                               wake_up();
                                             },
                                         .on_down =
                                             [this, wake_up](absl::Status status) {
                                               std::lock_guard lock(mu_);
                                               mail_.emplace_back(std::move(status));
                                               wake_up();
                                             }});
}

void Sidecar::ReadMounts() {
  read_mounts_at_ = clock_.Monotonic() + kMountPoll;
  for (ImportView& view : views_) {
    const absl::StatusOr<FileContents> files = ReadImport(options_.secrets_directory, view.name);
    // Without a mount there is nothing to hear from it.
    if (absl::IsNotFound(files.status())) continue;
    const absl::Status status = files.ok() ? ApplyMount(view, *files, connection_, Now()) : files.status();
    if (!status.ok()) {
      Log(LogLevel::kWarn, "the mounted Secret of an import cannot be used; what was known before is served",
          {{"import", view.name}, {"error", std::string(status.message())}});
    }
  }
}

// Whether that changed what is to be served.
bool Sidecar::ReadMail() {
  eventfd_t ignored = 0;
  eventfd_read(wake_up_, &ignored);
  Mail mail;
  {
    std::lock_guard lock(mu_);
    std::swap(mail, mail_);
  }
  bool changed = false;
  for (const auto& letter : mail) {
    if (const auto* message = std::get_if<mcsa::v1::WatchConfigsResponse>(&letter)) {
      Hear(*message);
      changed = true;
    } else if (HearOfTheEnd(std::get<absl::Status>(letter))) {
      changed = true;
    }
  }
  return changed;
}

void Sidecar::Hear(const mcsa::v1::WatchConfigsResponse& message) {
  if (!connection_.up) {
    connection_ = {.up = true, .since = Now()};
    logged_error_.clear();
    Log(LogLevel::kInfo, "the stream to the broker is open", {{"broker", options_.broker}});
  }
  for (const mcsa::v1::ImportState& state : message.imports()) {
    const auto view =
        std::find_if(views_.begin(), views_.end(), [&](const ImportView& view) { return view.name == state.name(); });
    if (view == views_.end()) continue;
    if (const absl::Status status = ApplyMessage(*view, state, Now()); !status.ok()) {
      Log(LogLevel::kWarn, "what the broker sent of an import cannot be used; what was known before is served",
          {{"import", view->name}, {"error", std::string(status.message())}});
    }
  }
}

// The end of a stream, or of a try to open one. Whether it changed what is to be served.
bool Sidecar::HearOfTheEnd(const absl::Status& status) {
  const std::string error(status.message());
  const bool changed = connection_.up || error != connection_.error;
  if (connection_.up) {
    connection_ = {.up = false, .since = Now(), .error = error};
    for (ImportView& view : views_) ForgetStream(view);
    ReadMounts();  // what they said meanwhile was left aside
  }
  connection_.error = error;
  // A broker that is away says the same at every try.
  if (error != logged_error_) {
    Log(LogLevel::kWarn, "there is no stream to the broker; tokens are served to their ends, and it is tried again",
        {{"code", absl::StatusCodeToString(status.code())}, {"error", error}});
    logged_error_ = error;
  }
  return changed;
}

void Sidecar::Publish() {
  const absl::Duration now = clock_.Monotonic();
  WriteOut(now);
  std::vector<ConfigServer::Import> imports = Serve(now);
  LogChanges(imports);
  if (server_ == nullptr) {
    server_ = std::make_unique<ConfigServer>(clock_, std::move(imports));
  } else {
    server_->Publish(std::move(imports));
  }
  changes_at_ = absl::InfiniteDuration();
  for (const ImportView& view : views_) changes_at_ = std::min(changes_at_, now + NextChange(view, connection_, now));
}

std::vector<ConfigServer::Import> Sidecar::Serve(absl::Duration now) const {
  std::vector<ConfigServer::Import> imports;
  for (const ImportView& view : views_) {
    ConfigServer::Import& import = imports.emplace_back();
    FillImportState(view, connection_, now, import.state);
    if (view.config) import.ends_at = view.issued_at + view.config->token.lifetime;
  }
  return imports;
}

// Files first: who is told by the socket finds them there.
void Sidecar::WriteOut(absl::Duration now) {
  std::vector<k8s::KubeconfigEntry> entries;
  absl::Status status;
  for (const ImportView& view : views_) {
    const std::optional<FileContents> files = BuildFiles(view, now);
    FileContents& written = written_[view.name];
    if (files && (written.empty() || *files != written)) {
      const absl::Status shown = WriteFiles(ImportDirectory(options_, view.name), *files);
      written = shown.ok() ? *files : FileContents();
      status.Update(shown);
    }
    if (std::optional<k8s::KubeconfigEntry> entry = BuildEntry(view, PluginPath(options_))) {
      entries.push_back(*std::move(entry));
    }
  }
  if (!options_.plugin.empty() && !plugin_copied_) {
    const absl::Status copied = CopyFile(options_.plugin, PluginPath(options_), kPluginMode);
    plugin_copied_ = copied.ok();
    status.Update(copied);
  }
  status.Update(
      WriteFile(JoinPath(options_.directory, "kubeconfig"), k8s::BuildKubeconfig(entries).Reveal(), kKubeconfigMode));
  write_again_at_ = status.ok() ? std::nullopt : std::optional(now + kWriteAgain);
  const std::string error(status.message());
  if (error == logged_write_error_) return;
  logged_write_error_ = error;
  if (status.ok()) {
    Log(LogLevel::kInfo, "the files are written again");
  } else {
    Log(LogLevel::kError, "files cannot be written and stay as they are; the socket serves on, and it is tried again",
        {{"error", error}});
  }
}

void Sidecar::LogChanges(const std::vector<ConfigServer::Import>& imports) {
  for (size_t i = 0; i < imports.size(); ++i) {
    const mcsa::v1::ImportState& state = imports[i].state;
    std::string text = Describe(state);
    const std::string key = absl::StrCat(text, "\n", state.config().version());
    if (key == logged_[i]) continue;
    logged_[i] = key;
    Log(LogLevel::kInfo, "an import is served",
        {{"import", state.name()}, {"state", std::move(text)}, {"tokenId", state.config().token_id()}});
  }
}

void Sidecar::Accept(int listener) {
  Peer peer;
  for (absl::StatusOr<int> connection = AcceptFrom(listener, peer); connection.ok();
       connection = AcceptFrom(listener, peer)) {
    if (connections_ >= kMaxConnections) {
      close(*connection);
      Log(LogLevel::kWarn, "a connection is refused: too many are open",
          {{"pid", absl::StrCat(peer.pid)}, {"uid", absl::StrCat(peer.uid)}});
      continue;
    }
    Log(LogLevel::kDebug, "a connection is open",
        {{"pid", absl::StrCat(peer.pid)}, {"uid", absl::StrCat(peer.uid)}, {"gid", absl::StrCat(peer.gid)}});
    // gRPC does not tell when a connection ends, hence a second file descriptor, which hears the hang-up.
    const int duplicate = fcntl(*connection, F_DUPFD_CLOEXEC, 0);
    if (duplicate >= 0) {
      ++connections_;
      Watch(epoll_, duplicate, EPOLLRDHUP);
    }
    server_->Serve(*connection);
  }
}

void Sidecar::Forget(int connection) {
  // gRPC may still hold the other file descriptor, and with it this entry of the epoll set.
  epoll_ctl(epoll_, EPOLL_CTL_DEL, connection, nullptr);
  close(connection);
  --connections_;
}

int Sidecar::MillisecondsToNextChange() const {
  const absl::Duration now = clock_.Monotonic();
  absl::Duration next = changes_at_ - now;
  if (!connection_.up) next = std::min(next, read_mounts_at_ - now);
  if (startup_ends_at_) next = std::min(next, *startup_ends_at_ - now);
  if (write_again_at_) next = std::min(next, *write_again_at_ - now);
  if (next > absl::Hours(1)) next = absl::Hours(1);
  // Rounded up, so that the change has come when we look.
  return static_cast<int>(absl::ToInt64Milliseconds(std::max(next, absl::ZeroDuration()))) + 1;
}

}  // namespace sidecar
