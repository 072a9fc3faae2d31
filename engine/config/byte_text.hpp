// Bytes of a datagram as text: printable ASCII stands for itself, everything else is an escape, \xNN, \n, \r,
// \t or \\.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nfsteer::config {

// Nothing for text that breaks the rule.
std::optional<std::string> bytes_of_text(std::string_view text);

std::string text_of_bytes(std::string_view bytes);

bool is_printable_ascii(std::string_view text);

}  // namespace nfsteer::config
