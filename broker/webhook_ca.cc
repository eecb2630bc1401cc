#include "broker/webhook_ca.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <utility>

#include "k8s/core/names.h"

namespace broker {
namespace {

const k8s::ObjectKey kConfiguration{"", k8s::kWebhookName};
const k8s::ObjectKey kSecret{k8s::kWebhookNamespace, k8s::kWebhookCaSecret};

std::string CaBundleOf(const k8s::Json& webhook) {
  std::string bundle;
  absl::Base64Unescape(k8s::StringAt(webhook, {"clientConfig", "caBundle"}), &bundle);
  return bundle;
}

// The caBundle that all webhooks of the configuration have, or "" if they differ.
absl::StatusOr<std::string> ReadBundle(const k8s::Client& client) {
  const absl::StatusOr<k8s::Json> configuration = client.Get(k8s::kMutatingWebhookConfigurations, kConfiguration);
  if (!configuration.ok()) return configuration.status();
  std::string bundle;
  bool first = true;
  for (const k8s::Json& webhook : k8s::ArrayAt(*configuration, {"webhooks"})) {
    const std::string own = CaBundleOf(webhook);
    if (!std::exchange(first, false) && own != bundle) return "";
    bundle = own;
  }
  return bundle;
}

// Whether there was a webhook to set it in: an admin may have taken them all out.
bool SetBundle(k8s::Json& configuration, const std::string& bundle) {
  bool any = false;
  k8s::Json* webhooks = configuration.as_object().if_contains("webhooks");
  if (webhooks == nullptr || !webhooks->is_array()) return false;
  for (k8s::Json& webhook : webhooks->get_array()) {
    if (!webhook.is_object()) continue;
    k8s::Json& client_config = webhook.get_object()["clientConfig"];
    if (!client_config.is_object()) client_config.emplace_object();
    client_config.get_object()["caBundle"] = absl::Base64Escape(bundle);
    any = true;
  }
  return any;
}

// Whether it was there already.
absl::StatusOr<bool> PublishBundle(const k8s::Client& client, const std::string& bundle) {
  const absl::StatusOr<std::string> published = ReadBundle(client);
  if (!published.ok()) return published.status();
  if (*published == bundle) return true;
  const absl::Status written =
      client
          .ReadModifyWrite(k8s::kMutatingWebhookConfigurations, kConfiguration,
                           [&](k8s::Json& configuration) { return SetBundle(configuration, bundle); })
          .status();
  if (!written.ok()) return written;
  return false;
}

absl::StatusOr<k8s::ObjectMeta> ParseMeta(const k8s::Json& object) {
  return k8s::ParseObjectMeta(object);
}

k8s::ListOptions ByName(const std::string& name) {
  return {.field_selector = absl::StrCat("metadata.name=", name), .metadata_only = true};
}

}  // namespace

WebhookCa::WebhookCa(const k8s::Client& client, const k8s::Clock& clock, absl::Duration propagation,
                     std::function<bool()> is_leader)
    : keeper_(client, clock,
              {.secret = kSecret,
               .common_name = "mcsa webhook",
               .timing = {.propagation = propagation},
               .publish = [&client](const std::string& bundle) { return PublishBundle(client, bundle); },
               .is_leader = [this, is_leader = std::move(is_leader)] { return has_configuration_ && is_leader(); }}),
      configuration_(client, k8s::kMutatingWebhookConfigurations, "", ByName(kConfiguration.name), &ParseMeta,
                     [this](const k8s::ObjectKey&, const auto&, const auto& after) {
                       has_configuration_ = after != nullptr;
                       keeper_.Wake();
                     }),
      secret_(client, k8s::kSecrets, kSecret.namespace_name, ByName(kSecret.name), &ParseMeta,
              [this](const k8s::ObjectKey&, const auto&, const auto&) { keeper_.Wake(); }) {}

}  // namespace broker
