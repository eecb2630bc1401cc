#ifndef SIDECAR_CONFIG_VIEW_H_
#define SIDECAR_CONFIG_VIEW_H_

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <map>
#include <optional>
#include <string>

#include "k8s/core/build_kubeconfig.h"
#include "k8s/core/remote_config.h"
#include "k8s/core/secret_string.h"
#include "mcsa/v1/config_service.pb.h"

// PURE: what the sidecar serves of an import, from what files and the broker's stream have said. DESIGN.md tells which
// of them wins.
namespace sidecar {

// One instant on both clocks (k8s/api/clock.h). The wall clock is believed once, when a token comes in by a file; from
// there on its life is counted on the monotonic one.
struct Instant {
  absl::Time wall;
  absl::Duration monotonic;
};

// The stream to the broker.
struct Connection {
  bool up = false;
  Instant since;      // of the last change of `up`
  std::string error;  // why it is not up; a sentence without its full stop
};

// All that is known of one import.
struct ImportView {
  std::string name;
  // The newest credential, kept after its end; none before the first and after a withdrawal.
  std::optional<k8s::RemoteConfig> config;
  absl::Duration issued_at;  // its token's, on our monotonic clock
  std::string stale_reason;  // why the broker calls it stale; "" if it does not
  bool heard = false;        // whether the stream that is up has brought a credential, or taken it back
  // The broker's last word, if that was no credential.
  std::optional<mcsa::v1::ImportError> error;
  // Where `config` led, kept when it is withdrawn.
  k8s::RemoteCluster cluster;
  // Files are late: what they show is taken only if it was issued after this.
  absl::Time withdrawn_until = absl::InfinitePast();
  // The token that the mounted Secret showed last.
  k8s::SecretString mounted_token;
};

// A file name and its content each: an import's Secret as mounted, or the sidecar's own files of an earlier run.
using FileContents = std::map<std::string, k8s::SecretString>;

// Takes what the sidecar's own files hold, when it starts: perhaps newer than the Secret's, perhaps all there is.
void ApplyOwnFiles(ImportView& view, const FileContents& files, Instant now);

// Takes what the mounted Secret holds now. INVALID_ARGUMENT: a token that is none; then nothing changes.
absl::Status ApplyMount(ImportView& view, const FileContents& files, const Connection& connection, Instant now);

// Takes the broker's word. INVALID_ARGUMENT: a config that is none; then nothing changes.
absl::Status ApplyMessage(ImportView& view, const mcsa::v1::ImportState& message, Instant now);

// The stream has ended; the next may be of another replica.
void ForgetStream(ImportView& view);

// What to answer on the socket.
void FillImportState(const ImportView& view, const Connection& connection, absl::Duration now,
                     mcsa::v1::ImportState& message);

// How long until the passing of time alone changes that; InfiniteDuration for never.
absl::Duration NextChange(const ImportView& view, const Connection& connection, absl::Duration now);

// The files to show: the keys of the import's Secret. Without a value leave what is there: there was no credential yet,
// or its life is over and nothing better is known.
std::optional<FileContents> BuildFiles(const ImportView& view, absl::Duration now);

// The entry of the merged kubeconfig, which stays after a withdrawal so that the plugin can say why it fails. Nothing
// before the first credential.
std::optional<k8s::KubeconfigEntry> BuildEntry(const ImportView& view, const std::string& plugin);

}  // namespace sidecar

#endif  // SIDECAR_CONFIG_VIEW_H_
