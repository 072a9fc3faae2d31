// The laboratory (engine/lab) for Python: nfsteer.simulate().
#pragma once

#include <pybind11/pybind11.h>

namespace nfsteer::python {

void add_simulate(pybind11::module_& module);

}  // namespace nfsteer::python
