// GET /v1/explain?protocol=tcp&source=10.0.0.10:40000&destination=10.0.0.40:80[&live=true]: which service
// takes such a connection and why, which backends can take it, and which rules its packets meet. The
// parameters are those of api/explain_query.hpp. With live=true the answer also has what conntrack knows of
// the connection that there is.
#pragma once

#include "api/services.hpp"

namespace nfsteer::api {

HttpResponse get_explanation(const ApiCall& call);

}  // namespace nfsteer::api
