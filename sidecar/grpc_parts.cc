// Which parts of gRPC the sidecar links and starts. The library registers all it has, by one function, which makes the
// linker keep and the start touch what a sidecar never uses: xDS, other load balancers, DNS by c-ares, fault injection.
// This definition of that function comes before the library's (src/core/plugin_registry/grpc_plugin_registry.cc of
// 1.51, whose order it keeps), as gRPC's own grpc_unsecure replaces a part of it. Were the name to change, the program
// would only become larger again. Measured in DESIGN.md.

namespace grpc_core {

// As in src/core/lib/config/core_configuration.h, which is not installed.
class CoreConfiguration {
 public:
  class Builder;
};

}  // namespace grpc_core

namespace grpc_event_engine::experimental {

void RegisterEventEngineChannelArgPreconditioning(grpc_core::CoreConfiguration::Builder*);

}  // namespace grpc_event_engine::experimental

namespace grpc_core {

void RegisterTCPConnectHandshaker(CoreConfiguration::Builder*);
void RegisterPickFirstLbPolicy(CoreConfiguration::Builder*);
void BuildClientChannelConfiguration(CoreConfiguration::Builder*);
void SecurityRegisterHandshakerFactories(CoreConfiguration::Builder*);
void RegisterClientAuthorityFilter(CoreConfiguration::Builder*);
void RegisterHttpFilters(CoreConfiguration::Builder*);
void RegisterDeadlineFilter(CoreConfiguration::Builder*);
void RegisterMessageSizeFilter(CoreConfiguration::Builder*);
void RegisterResourceQuota(CoreConfiguration::Builder*);
void RegisterSockaddrResolver(CoreConfiguration::Builder*);
void RegisterSecurityFilters(CoreConfiguration::Builder*);
void RegisterBuiltins(CoreConfiguration::Builder*);

void BuildCoreConfiguration(CoreConfiguration::Builder* builder);
void BuildCoreConfiguration(CoreConfiguration::Builder* builder) {
  grpc_event_engine::experimental::RegisterEventEngineChannelArgPreconditioning(builder);
  RegisterTCPConnectHandshaker(builder);
  RegisterPickFirstLbPolicy(builder);
  BuildClientChannelConfiguration(builder);
  SecurityRegisterHandshakerFactories(builder);
  RegisterClientAuthorityFilter(builder);
  RegisterHttpFilters(builder);
  RegisterDeadlineFilter(builder);
  RegisterMessageSizeFilter(builder);
  RegisterResourceQuota(builder);
  RegisterSockaddrResolver(builder);
  RegisterSecurityFilters(builder);
  RegisterBuiltins(builder);
}

}  // namespace grpc_core
