// The interpreter's lock on threads that Python does not know, such as the engine's workers.
#pragma once

#include <Python.h>

namespace nfsteer::python {

// PyGILState_Ensure() gives a thread a state of its own, and PyGILState_Release() takes it away again, which
// costs more than the call between them. A thread that asks for the lock once will ask again: it keeps its
// state until it ends.
class WorkerLock {
 public:
  WorkerLock() {
    keep_state();
    state_ = PyGILState_Ensure();
  }
  ~WorkerLock() { PyGILState_Release(state_); }
  WorkerLock(const WorkerLock&) = delete;
  WorkerLock& operator=(const WorkerLock&) = delete;

  // False while the process ends: no thread gets the lock any more.
  static bool is_possible() { return Py_IsInitialized() != 0 && _Py_IsFinalizing() == 0; }

 private:
  struct KeptState {
    PyGILState_STATE state = PyGILState_Ensure();
    PyThreadState* thread = PyEval_SaveThread();
    KeptState() = default;
    KeptState(const KeptState&) = delete;
    KeptState& operator=(const KeptState&) = delete;
    ~KeptState() {
      if (!is_possible()) return;
      PyEval_RestoreThread(thread);
      PyGILState_Release(state);
    }
  };
  static void keep_state() {
    if (PyGILState_GetThisThreadState() != nullptr) return;
    thread_local const KeptState kept;
  }

  PyGILState_STATE state_;
};

}  // namespace nfsteer::python
