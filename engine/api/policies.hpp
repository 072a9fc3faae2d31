// GET /v1/policies: the catalogue, {"policies": [{name, alias, summary, contract, options}]}.
#pragma once

#include "api/services.hpp"

namespace nfsteer::api {

HttpResponse get_policies(const ApiCall& call);

}  // namespace nfsteer::api
