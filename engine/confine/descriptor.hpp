// The owner of a file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace nfsteer::confine {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}  // -1: none
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }  // the caller's from now on
  void close() { Descriptor(std::exchange(number_, -1)); }

 private:
  int number_;
};

}  // namespace nfsteer::confine
