// The extension module nfsteer._nfsteer.
#include <pybind11/pybind11.h>

#include "bound.hpp"
#include "engine.hpp"
#include "python_policy.hpp"
#include "simulate.hpp"
#include "values.hpp"

PYBIND11_MODULE(_nfsteer, module) {
  module.doc() = "What nfsteer's Python package is made of; import nfsteer instead.";
  pybind11::register_exception<nfsteer::python::PolicyError>(module, "Error");
  nfsteer::python::add_values(module);
  nfsteer::python::add_bound(module);
  nfsteer::python::add_engine(module);
  nfsteer::python::add_simulate(module);
  // For nfsteer-python.so, which is no Python module.
  module.attr("_policy_interface") = pybind11::capsule(nfsteer::python::c_interface(), "nfsteer_policy");
}
