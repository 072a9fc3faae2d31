// nfsteer-python.so: policies in Python for a program that knows the C interface only. It starts an
// interpreter, imports the package nfsteer, and hands on the interface that its extension module has; the
// options `file` and `class` then say which policy.
//
// The interpreter is started once and lives as long as the process (the library is linked to stay, -z
// nodelete); signals are left to the program. PYTHONPATH counts; the package is found beside it, or where it
// was built or installed (NFSTEER_PYTHON_PACKAGE).
#include <Python.h>
#include <dlfcn.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "nfsteer/policy.h"

namespace {

std::string failure;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): create() has no other way

void* refuse(const nfsteer_input* /*input*/, char* error, std::size_t error_size) {
  std::snprintf(error, error_size, "%s", failure.c_str());
  return nullptr;
}

constexpr nfsteer_policy kRefusal = {
    .abi = NFSTEER_POLICY_ABI,
    .struct_size = sizeof(nfsteer_policy),
    .name = "python",
    .flags = 0,
    .reserved = 0,
    .create = refuse,
    .pick = [](void*, const nfsteer_flow*, nfsteer_context*) -> std::uint32_t { return NFSTEER_FAILED; },
    .destroy = [](void*) {},
    .tick = nullptr,
};

// Extension modules take libpython's functions from the program as a whole, which has loaded this library,
// and libpython with it, for itself alone.
bool show_interpreter() {
  Dl_info libpython = {};
  const bool is_known = dladdr(reinterpret_cast<void*>(&Py_InitializeEx), &libpython) != 0;
  if (is_known && dlopen(libpython.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL) != nullptr) return true;
  const char* reason = dlerror();
  failure =
      std::string("the interpreter cannot be shown to its modules: ") + (reason == nullptr ? "" : reason);
  return false;
}

// With the interpreter's lock, and an exception set.
std::string text_of_exception() {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  PyObject* text = value == nullptr ? nullptr : PyObject_Str(value);
  const char* bytes = text == nullptr ? nullptr : PyUnicode_AsUTF8(text);
  std::string line = bytes == nullptr ? "unknown error" : bytes;
  Py_XDECREF(text);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  PyErr_Clear();
  return line.substr(0, line.find('\n'));
}

// The folder of this library goes to the end of Python's path.
bool add_package_folder() {
  Dl_info own = {};
  if (dladdr(&kRefusal, &own) == 0) return false;
  std::error_code unknown;
  const auto library = std::filesystem::canonical(own.dli_fname, unknown);
  PyObject* path = PySys_GetObject("path");  // borrowed
  PyObject* folder = PyUnicode_DecodeFSDefault(library.parent_path().c_str());
  const bool is_added = path != nullptr && folder != nullptr && PyList_Append(path, folder) == 0;
  Py_XDECREF(folder);
  return is_added;
}

const nfsteer_policy* interface_of_package() {
  PyObject* module = add_package_folder() ? PyImport_ImportModule("nfsteer._nfsteer") : nullptr;
  PyObject* capsule = module == nullptr ? nullptr : PyObject_GetAttrString(module, "_policy_interface");
  const void* found = capsule == nullptr ? nullptr : PyCapsule_GetPointer(capsule, "nfsteer_policy");
  if (found == nullptr) failure = "the Python package nfsteer cannot be imported: " + text_of_exception();
  Py_XDECREF(capsule);
  Py_XDECREF(module);
  return static_cast<const nfsteer_policy*>(found);
}

}  // namespace

// The control thread. What fails is told by create(), and tried again with the next load.
extern "C" const nfsteer_policy* nfsteer_policy_entry(void) {
  if (Py_IsInitialized() == 0) {  // else the program is Python
    if (!show_interpreter()) return &kRefusal;
    Py_InitializeEx(0);
    PyEval_SaveThread();
  }
  const PyGILState_STATE lock = PyGILState_Ensure();
  const nfsteer_policy* found = interface_of_package();
  PyGILState_Release(lock);
  return found == nullptr ? &kRefusal : found;
}
