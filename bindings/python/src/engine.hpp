// An engine in a Python process: nfsteer.Engine.
#pragma once

#include <pybind11/pybind11.h>

namespace nfsteer::python {

void add_engine(pybind11::module_& module);

}  // namespace nfsteer::python
