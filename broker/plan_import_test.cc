#include "broker/plan_import.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/names.h"

namespace broker {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;

constexpr char kCanary[] = "canary";  // in every token: must be found nowhere but in the Secret

k8s::BoundToken Token(const std::string& id, const std::string& account_uid) {
  return {.token = k8s::SecretString(absl::StrCat(kCanary, id)),
          .issued_at = absl::FromUnixSeconds(1000),
          .expires_at = absl::FromUnixSeconds(4600),
          .lifetime = absl::Hours(1),
          .token_id = id,
          .subject = "system:serviceaccount:default:pod-lister",
          .account_uid = account_uid};
}

// An import that nobody has looked at yet, with everything in reach.
Observed NewImport() {
  Observed observed;
  observed.import.meta = {.namespace_name = "default", .name = "lister", .uid = "import-uid", .generation = 1};
  observed.import.spec = {.cluster_name = "cluster2", .namespace_name = "default", .name = "pod-lister"};
  observed.policy = {.allowed = true, .rule = "namespace-sameness[0]"};
  observed.source = {
      .state = SourceView::State::kReady, .has_answered = true, .server = "https://c2:6443", .ca_bundle = "CA"};
  observed.account = {.state = AccountView::State::kPresent, .uid = "account-uid"};
  observed.now = absl::FromUnixSeconds(1000);
  return observed;
}

// The same after its token was issued and written.
Observed ReadyImport() {
  Observed observed = NewImport();
  const Plan plan = PlanAfterMint(observed, Token("JTI=1", "account-uid"));
  observed.import.status = plan.status;
  observed.token = Token("JTI=1", "account-uid");
  observed.secret =
      HeldSecret{.meta = {.namespace_name = "default", .name = plan.status.secret_names[0], .uid = "secret-uid"},
                 .data = plan.secret_data};
  observed.secret->meta.labels = k8s::SecretLabels("lister");
  observed.secret->meta.owners = {
      {.kind = k8s::kImportKind, .name = "lister", .uid = "import-uid", .controller = true}};
  return observed;
}

const k8s::Condition& Ready(const Plan& plan) {
  return *k8s::FindCondition(plan.status, "Ready");
}

TEST(PlanImportTest, ANewImportWantsATokenOfTheAskedLife) {
  Observed observed = NewImport();
  observed.import.spec.expiration = absl::Minutes(10);
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kMint);
  EXPECT_EQ(plan.lifetime, absl::Minutes(10));
}

TEST(PlanImportTest, AReadyImportIsLeftAlone) {
  const Observed observed = ReadyImport();
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_EQ(plan.status, observed.import.status);
  EXPECT_THAT(plan.events, IsEmpty());
  EXPECT_THAT(plan.requeue_after, AllOf(Ge(absl::Minutes(30)), Le(absl::Minutes(36))));
}

TEST(PlanImportTest, ATokenIsReplacedAfterSixtyPercentOfItsLife) {
  Observed observed = ReadyImport();
  observed.token_age = absl::Minutes(29);
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kNone);
  observed.token_age = absl::Minutes(36);
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kMint);
}

TEST(PlanImportTest, AnUnreachableSourceLeavesALivingToken) {
  Observed observed = ReadyImport();
  observed.source = {
      .state = SourceView::State::kUnreachable, .error = "connection refused", .server = "https://c2:6443"};
  observed.token_age = absl::Minutes(59);
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_TRUE(Ready(plan).status);
  EXPECT_THAT(Ready(plan).message, HasSubstr("connection refused"));
  EXPECT_EQ(plan.requeue_after, absl::Minutes(1));
}

TEST(PlanImportTest, ADeadTokenOfAnUnreachableSourceIsRemoved) {
  Observed observed = ReadyImport();
  observed.source.state = SourceView::State::kUnreachable;
  observed.token_age = absl::Hours(1);
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kRevoke);
  EXPECT_EQ(Ready(plan).reason, "SourceUnreachable");
}

TEST(PlanImportTest, AChangedLifeOrAudienceWaitsForAnUnreachableSourceAndIsNotForgotten) {
  Observed observed = ReadyImport();
  observed.import.meta.generation = 2;
  observed.source.state = SourceView::State::kUnreachable;
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_TRUE(Ready(plan).status);
  observed.import.status = plan.status;
  observed.source.state = SourceView::State::kReady;
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kMint);
}

TEST(PlanImportTest, ATokenOfAnotherClusterOrAccountDoesNotServeOn) {
  for (const auto& change : {+[](k8s::ImportSpec& spec) { spec.cluster_name = "cluster3"; },
                             +[](k8s::ImportSpec& spec) { spec.name = "other"; }}) {
    Observed observed = ReadyImport();
    change(observed.import.spec);
    observed.import.meta.generation = 2;
    observed.account = {.state = AccountView::State::kNotWatched};
    observed.source.state = SourceView::State::kUnreachable;
    EXPECT_EQ(PlanImport(observed).action, Plan::Action::kRevoke);
  }
}

// The broker's own credential for a source, as it is for 30 days: issued, alive, in use.
Observed ReadySource() {
  Observed observed = ReadyImport();
  observed.is_source_credential = true;
  return observed;
}

SourceView OutOfReachFor(absl::Duration span) {
  return {.state = SourceView::State::kUnreachable,
          .error = "connection refused",
          .out_of_reach_for = span,
          .server = "https://c2:6443"};
}

// kubemcsa writes the first one, and no status. Without it the broker could never ask for another.
TEST(PlanImportTest, TheFirstCredentialOfASourceOutlastsThatItsSourceIsDown) {
  Observed observed = ReadySource();
  observed.import.status = {};
  observed.source = OutOfReachFor(absl::ZeroDuration());
  for (const absl::Duration age : {absl::ZeroDuration(), absl::Hours(2)}) {
    observed.token_age = age;
    for (const Plan& plan : {PlanImport(observed), PlanAfterMint(observed, absl::UnavailableError("no route"))}) {
      EXPECT_EQ(plan.action, Plan::Action::kNone);
      EXPECT_FALSE(Ready(plan).status);
    }
  }
}

TEST(PlanImportTest, ASourceOutOfReachIsNotReadyThoughItsCredentialLives) {
  Observed observed = ReadySource();
  observed.source = OutOfReachFor(absl::Seconds(10));
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_FALSE(Ready(plan).status);
  EXPECT_EQ(Ready(plan).reason, "SourceUnreachable");
  EXPECT_THAT(Ready(plan).message, AllOf(HasSubstr("connection refused"), HasSubstr("kubemcsa bootstrap")));
  EXPECT_EQ(plan.status.token_id, observed.import.status.token_id);
  EXPECT_THAT(plan.events, ElementsAre(Field(&Event::reason, "SourceUnreachable")));
  observed.import.status = plan.status;
  observed.source.out_of_reach_for = absl::Hours(1);
  EXPECT_EQ(PlanImport(observed).status, plan.status);
  EXPECT_THAT(PlanImport(observed).events, IsEmpty());
}

TEST(PlanImportTest, ASourceOutOfReachForAMomentIsNoNews) {
  Observed observed = ReadySource();
  observed.source = OutOfReachFor(absl::Seconds(9));
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.status, observed.import.status);
  EXPECT_THAT(plan.events, IsEmpty());
  EXPECT_EQ(plan.requeue_after, absl::Seconds(1));
}

TEST(PlanImportTest, ASourceThatAnswersAgainIsReady) {
  Observed observed = ReadySource();
  observed.source = OutOfReachFor(absl::Minutes(1));
  observed.import.status = PlanImport(observed).status;
  observed.source = ReadyImport().source;
  EXPECT_EQ(Ready(PlanImport(observed)).reason, "TokenIssued");
}

// As after a change of leader: this replica has not met the source yet.
TEST(PlanImportTest, ASourceOutOfReachStaysSoUntilItAnswers) {
  for (const bool is_source_credential : {true, false}) {
    Observed observed = ReadyImport();
    observed.is_source_credential = is_source_credential;
    observed.source = OutOfReachFor(absl::Minutes(1));
    const Plan told = PlanImport(observed);
    observed.import.status = told.status;
    observed.source = ReadyImport().source;
    observed.source.has_answered = false;
    EXPECT_EQ(PlanImport(observed).status, told.status);
    EXPECT_GT(PlanImport(observed).requeue_after, absl::ZeroDuration());
    observed.source = OutOfReachFor(absl::ZeroDuration());
    EXPECT_EQ(Ready(PlanImport(observed)).status, Ready(told).status);
    EXPECT_THAT(PlanImport(observed).events, IsEmpty());
  }
}

TEST(PlanImportTest, ASourceWhoseCredentialIsOfNoUseIsNotReady) {
  Observed observed = ReadySource();
  const Plan refused = PlanAfterMint(observed, absl::UnauthenticatedError("Unauthorized"));
  observed.source = {.state = SourceView::State::kUnusable, .error = "its Secret is refused"};
  for (const Plan& plan : {refused, PlanImport(observed)}) {
    EXPECT_EQ(plan.action, Plan::Action::kNone);
    EXPECT_FALSE(Ready(plan).status);
    EXPECT_EQ(Ready(plan).reason, "SourceCredentialInvalid");
  }
}

TEST(PlanImportTest, WhoImportsFromAContextIsNotToldToBootstrapIt) {
  Observed observed = NewImport();
  observed.source.is_context = true;
  const Plan refused = PlanAfterMint(observed, absl::UnauthenticatedError("Unauthorized"));
  observed.source = {.state = SourceView::State::kUnusable, .is_context = true, .error = "cannot open /no/ca.crt"};
  for (const Plan& plan : {refused, PlanImport(observed)}) {
    EXPECT_EQ(Ready(plan).reason, "SourceCredentialInvalid");
    EXPECT_THAT(Ready(plan).message, HasSubstr("mend that context"));
    EXPECT_THAT(Ready(plan).message, Not(HasSubstr("bootstrap")));
  }
  observed.source.is_context = false;
  EXPECT_THAT(Ready(PlanImport(observed)).message, HasSubstr("kubemcsa bootstrap"));
}

// It serves the imports of that source, for a month.
TEST(PlanImportTest, ASourceThatRefusesToRenewTheCredentialIsReadyWhileItLives) {
  const Observed observed = ReadySource();
  for (const absl::Status& error : {absl::PermissionDeniedError("the fence"), absl::UnavailableError("HTTP 503")}) {
    const Plan plan = PlanAfterMint(observed, error);
    EXPECT_TRUE(Ready(plan).status);
    EXPECT_THAT(plan.events, ElementsAre(Field(&Event::reason, "RenewalWaits")));
  }
}

TEST(PlanImportTest, AWithdrawnPolicyRevokesAtOnce) {
  Observed observed = ReadyImport();
  observed.policy = {.allowed = false, .reason = "there is none"};
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kRevoke);
  EXPECT_EQ(Ready(plan).reason, "NotAllowedByPolicy");
  EXPECT_EQ(k8s::FindCondition(plan.status, "Revoked")->reason, "PolicyWithdrawn");
  EXPECT_EQ(plan.status.token_id, "");
}

TEST(PlanImportTest, TheBrokersOwnCredentialNeedsNoPolicyAndLives30Days) {
  Observed observed = NewImport();
  observed.is_source_credential = true;
  observed.policy = {};
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kMint);
  EXPECT_EQ(plan.lifetime, absl::Hours(30 * 24));
}

TEST(PlanImportTest, OfTwoCredentialsForOneSourceTheNewerWaitsAndKeepsItsToken) {
  Observed observed = ReadyImport();
  observed.is_source_credential = true;
  observed.older_source = "the-other";
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_EQ(Ready(plan).reason, "DuplicateSource");
  EXPECT_THAT(Ready(plan).message, HasSubstr("the-other"));
}

TEST(PlanImportTest, ADeletedAccountRevokes) {
  Observed observed = ReadyImport();
  observed.account = {.state = AccountView::State::kAbsent};
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kRevoke);
  EXPECT_EQ(k8s::FindCondition(plan.status, "Revoked")->reason, "RemoteServiceAccountDeleted");
}

TEST(PlanImportTest, AnAccountMadeAnewGetsANewTokenAndAnEvent) {
  Observed observed = ReadyImport();
  observed.account.uid = "other-uid";
  ASSERT_EQ(PlanImport(observed).action, Plan::Action::kMint);
  const Plan plan = PlanAfterMint(observed, Token("JTI=2", "other-uid"));
  EXPECT_THAT(plan.events, Contains(Field(&Event::reason, "AccountRecreated")));
}

TEST(PlanImportTest, AChangedSpecWantsATokenAtOnce) {
  Observed observed = ReadyImport();
  observed.import.meta.generation = 2;
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kMint);
}

TEST(PlanImportTest, ARenewalIsRequestedOnce) {
  Observed observed = ReadyImport();
  observed.import.meta.annotations[k8s::kRenewRequestedKey] = "2026-01-01T00:00:00Z";
  ASSERT_EQ(PlanImport(observed).action, Plan::Action::kMint);
  observed.import.status = PlanAfterMint(observed, Token("JTI=1", "account-uid")).status;
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kNone);
}

TEST(PlanImportTest, AnEditedSecretIsRestoredWithTheSameToken) {
  Observed observed = ReadyImport();
  observed.secret->data[k8s::kServerKey] = k8s::SecretString("https://evil");
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kRewrite);
  EXPECT_TRUE(plan.secret_data.at(k8s::kTokenKey) == observed.token->token);
  EXPECT_THAT(plan.events, Contains(Field(&Event::reason, "SecretRestored")));
}

TEST(PlanImportTest, ALabelOfOursThatSomebodyRemovedOrChangedIsRestored) {
  Observed removed = ReadyImport();
  removed.secret->meta.labels.erase(k8s::kManagedByLabel);
  Observed changed = ReadyImport();
  changed.secret->meta.labels[k8s::kImportNameKey] = "another";
  for (const Observed& observed : {removed, changed}) {
    EXPECT_EQ(PlanImport(observed).action, Plan::Action::kRewrite);
  }
}

TEST(PlanImportTest, ATokenThatSomebodyPutThereIsReplacedWithAnEvent) {
  Observed garbled = ReadyImport();
  garbled.token.reset();
  Observed swapped = ReadyImport();
  swapped.token = Token("JTI=another", "account-uid");
  for (const Observed& observed : {garbled, swapped}) {
    EXPECT_EQ(PlanImport(observed).action, Plan::Action::kMint);
    EXPECT_THAT(PlanAfterMint(observed, Token("JTI=2", "account-uid")).events,
                Contains(Field(&Event::reason, "SecretRestored")));
  }
}

TEST(PlanImportTest, AKeyOrLabelThatSomebodyAddedIsLeft) {
  Observed observed = ReadyImport();
  observed.secret->meta.labels["team"] = "a";
  observed.secret->data.emplace("note", k8s::SecretString("mine"));
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kNone);
}

TEST(PlanImportTest, ANewAddressOfTheSourceRewritesTheSecret) {
  Observed observed = ReadyImport();
  observed.source.server = "https://c2.example.com";
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kRewrite);
  EXPECT_EQ(plan.status.server, "https://c2.example.com");
}

TEST(PlanImportTest, AUsersSecretUnderOurNameIsNotTouched) {
  Observed observed = ReadyImport();
  observed.secret->meta.owners.clear();
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_EQ(Ready(plan).reason, "SecretConflict");
}

TEST(PlanImportTest, ANamespaceWithoutRightsSaysTheCommand) {
  Observed observed = NewImport();
  observed.secret_access = absl::PermissionDeniedError("no");
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(Ready(plan).reason, "NamespaceNotServed");
  EXPECT_THAT(Ready(plan).message, HasSubstr("kubectl -n default create rolebinding"));
}

// When the right is back, the token of before is not taken for one of the new spec.
TEST(PlanImportTest, WithoutARightToSecretsNoNewSpecIsObeyed) {
  Observed observed = ReadyImport();
  observed.import.meta.generation++;
  const int64_t obeyed = observed.import.status.observed_generation;
  observed.secret_access = absl::PermissionDeniedError("no");
  EXPECT_EQ(PlanImport(observed).status.observed_generation, obeyed);
}

TEST(PlanAfterMintTest, ARefusedTokenGoesUnlessTheBrokerIsRefusedToo) {
  Observed observed = ReadyImport();
  observed.refused = true;
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kMint);
  EXPECT_EQ(PlanAfterMint(observed, absl::PermissionDeniedError("no")).action, Plan::Action::kRevoke);
  for (const absl::Status& status :
       {absl::UnauthenticatedError("no"), absl::UnavailableError("no"), absl::DeadlineExceededError("no")}) {
    EXPECT_EQ(PlanAfterMint(observed, status).action, Plan::Action::kNone);
  }
}

TEST(PlanImportTest, DeliveryBrokerKeepsNothingInTheSecret) {
  Observed observed = ReadyImport();
  observed.import.spec.delivery = k8s::Delivery::kBroker;
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kRevoke);
  EXPECT_TRUE(Ready(plan).status);
  EXPECT_EQ(Ready(plan).reason, "IssuedOnDemand");
  EXPECT_THAT(plan.status.secret_names, IsEmpty());
  EXPECT_EQ(plan.status.token_id, "");
}

TEST(PlanImportTest, DeliveryBrokerNeedsNoRightToSecrets) {
  Observed observed = NewImport();
  observed.import.spec.delivery = k8s::Delivery::kBroker;
  observed.secret_access = absl::PermissionDeniedError("no");
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_EQ(Ready(plan).reason, "IssuedOnDemand");
}

TEST(PlanImportTest, DeliveryBrokerNeedsAPolicyToo) {
  Observed observed = NewImport();
  observed.import.spec.delivery = k8s::Delivery::kBroker;
  observed.policy = {.allowed = false, .reason = "no rule"};
  EXPECT_EQ(Ready(PlanImport(observed)).reason, "NotAllowedByPolicy");
}

TEST(PlanImportTest, DeliveryBrokerLeavesAUsersSecretAlone) {
  Observed observed = ReadyImport();
  observed.import.spec.delivery = k8s::Delivery::kBroker;
  observed.secret->meta.owners.clear();
  const Plan plan = PlanImport(observed);
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_EQ(Ready(plan).reason, "SecretConflict");
}

TEST(PlanImportTest, OnDemandATokenIsTakenAndRenewedAsForASecret) {
  Observed observed = NewImport();
  observed.import.spec.delivery = k8s::Delivery::kBroker;
  observed.on_demand = true;
  EXPECT_EQ(PlanImport(observed).action, Plan::Action::kMint);
  Observed held = ReadyImport();
  held.import.spec.delivery = k8s::Delivery::kBroker;
  held.on_demand = true;
  EXPECT_EQ(PlanImport(held).action, Plan::Action::kNone);
  held.token_age = absl::Minutes(37);
  EXPECT_EQ(PlanImport(held).action, Plan::Action::kMint);
}

struct MintErrorCase {
  const char* sentence;
  absl::Status error;
  const char* reason;
};

TEST(PlanAfterMintTest, TellsWhyThereIsNoToken) {
  const MintErrorCase kCases[] = {
      {"no such account", absl::NotFoundError("x"), "RemoteServiceAccountNotFound"},
      {"the fence refuses", absl::PermissionDeniedError("x"), "TokenRequestForbidden"},
      {"our credential ended", absl::UnauthenticatedError("x"), "SourceCredentialInvalid"},
      {"connection refused", absl::UnavailableError("x"), "SourceUnreachable"},
      {"packets dropped", absl::DeadlineExceededError("x"), "SourceUnreachable"},
      {"nonsense", absl::InvalidArgumentError("x"), "TokenRequestFailed"},
  };
  for (const MintErrorCase& test : kCases) {
    SCOPED_TRACE(test.sentence);
    const Plan plan = PlanAfterMint(NewImport(), test.error);
    EXPECT_EQ(Ready(plan).reason, test.reason);
    EXPECT_FALSE(Ready(plan).status);
    EXPECT_TRUE(plan.back_off);
  }
}

constexpr char kLacksPatch[] =
    R"(secrets "lister-token" is forbidden: User "broker" cannot patch resource "secrets" in API group "")";
constexpr char kQuota[] = R"(secrets "lister-token" is forbidden: exceeded quota: few, requested: secrets=1)";

struct WriteErrorCase {
  const char* sentence;
  absl::Status error;
  const char* reason;  // "": nothing is told
};

TEST(PlanAfterWriteErrorTest, TellsOfARefusalInTheServersWords) {
  const WriteErrorCase kCases[] = {
      {"no right", absl::PermissionDeniedError(kLacksPatch), "NamespaceNotServed"},
      {"a right to patch alone", absl::PermissionDeniedError("secrets \"x\" is forbidden: "), "NamespaceNotServed"},
      {"a quota", absl::PermissionDeniedError(kQuota), "SecretWriteRefused"},
      {"a webhook", absl::PermissionDeniedError("admission webhook \"w\" denied the request: no"),
       "SecretWriteRefused"},
      {"a policy", absl::InvalidArgumentError("ValidatingAdmissionPolicy 'p' denied request: no"),
       "SecretWriteRefused"},
      {"somebody was faster", absl::FailedPreconditionError("metadata.uid"), ""},
      {"the server is down", absl::UnavailableError("connection refused"), ""},
  };
  for (const WriteErrorCase& test : kCases) {
    SCOPED_TRACE(test.sentence);
    const Observed observed = NewImport();
    const Plan plan = PlanAfterWriteError(observed, Plan::Action::kRewrite, test.error);
    EXPECT_EQ(plan.action, Plan::Action::kNone);
    if (*test.reason == '\0') {
      EXPECT_EQ(plan.status, observed.import.status);
      EXPECT_TRUE(plan.back_off);
      continue;
    }
    EXPECT_EQ(Ready(plan).reason, test.reason);
    EXPECT_FALSE(Ready(plan).status);
    const bool refused = Ready(plan).reason == "SecretWriteRefused";
    EXPECT_EQ(plan.back_off, refused);
    EXPECT_THAT(Ready(plan).message, HasSubstr(refused ? std::string(test.error.message()) : "create rolebinding"));
  }
}

TEST(PlanAfterWriteErrorTest, ARenewalThatCannotBeWrittenKeepsTheLivingToken) {
  Observed observed = ReadyImport();
  observed.import.meta.generation = 2;
  const Plan plan = PlanAfterWriteError(observed, Plan::Action::kRewrite, absl::PermissionDeniedError(kQuota));
  EXPECT_TRUE(Ready(plan).status);
  EXPECT_THAT(Ready(plan).message, HasSubstr("exceeded quota"));
  EXPECT_EQ(plan.status.token_id, observed.import.status.token_id);
  EXPECT_EQ(plan.status.observed_generation, 1) << "the new spec is not obeyed yet";
}

TEST(PlanAfterWriteErrorTest, ARevocationThatCannotBeWrittenIsNotClaimed) {
  const Observed observed = ReadyImport();
  const Plan plan = PlanAfterWriteError(observed, Plan::Action::kRevoke, absl::InvalidArgumentError("no"));
  EXPECT_FALSE(Ready(plan).status);
  EXPECT_EQ(Ready(plan).reason, "SecretWriteRefused");
  EXPECT_EQ(k8s::FindCondition(plan.status, "Revoked"), nullptr);
  EXPECT_EQ(plan.status.token_id, observed.import.status.token_id);
}

TEST(PlanAfterMintTest, FailureToRenewKeepsTheLivingToken) {
  Observed observed = ReadyImport();
  observed.token_age = absl::Minutes(40);
  const Plan plan = PlanAfterMint(observed, absl::UnavailableError("connection refused"));
  EXPECT_EQ(plan.action, Plan::Action::kNone);
  EXPECT_TRUE(Ready(plan).status);
}

TEST(PlanAfterMintTest, ARenewalThatWaitsIsAnEventOnce) {
  Observed observed = ReadyImport();
  observed.token_age = absl::Minutes(40);
  const Plan first = PlanAfterMint(observed, absl::UnavailableError("connection refused"));
  EXPECT_THAT(first.events, ElementsAre(AllOf(Field(&Event::warning, true), Field(&Event::reason, "RenewalWaits"),
                                              Field(&Event::note, HasSubstr("connection refused")))));
  observed.import.status = first.status;
  EXPECT_THAT(PlanAfterMint(observed, absl::DeadlineExceededError("no answer")).events, IsEmpty());
  observed.source.state = SourceView::State::kUnreachable;
  EXPECT_THAT(PlanImport(observed).events, IsEmpty());
}

TEST(PlanAfterMintTest, ShowsTheTokenNowhereButInTheSecret) {
  const Plan plan = PlanAfterMint(NewImport(), Token("JTI=1", "account-uid"));
  EXPECT_EQ(plan.secret_data.size(), 6);
  std::string shown = boost::json::serialize(k8s::BuildImportStatus({.name = "x"}, plan.status));
  for (const Event& event : plan.events) absl::StrAppend(&shown, event.note);
  EXPECT_THAT(shown, Not(HasSubstr(kCanary)));
}

}  // namespace
}  // namespace broker
