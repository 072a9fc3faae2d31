// The scripts of `nfsteer completion`. They know nothing of the commands.
#include <fmt/format.h>

#include "cli/completion.hpp"

namespace nfsteer::cli {
namespace {

// bash hands over words that are broken at = and : too, and wants back what follows the last break.
constexpr const char* kBash = R"sh(# Completion of nfsteer's command lines in bash. Load it with:
#   source <(nfsteer completion bash)
_nfsteer() {
  local line=${COMP_LINE:0:COMP_POINT} rest word i
  local -a words=()
  COMPREPLY=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=${line#"${line%%[![:space:]]*}"}
    word=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || word=$rest
    if [[ $i -eq 0 || $rest != "$line" ]]; then words+=("$word"); else words[-1]+=$word; fi
    line=${rest#"$word"}
  done
  local current=${words[-1]} broken_off=
  if [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then broken_off=${current%"${current##*=}"}; fi
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then broken_off=${current%"${current##*[=:]}"}; fi
  while IFS=$'\t' read -r word _; do
    if [[ $word == :files ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "${current#*=}")
    else
      COMPREPLY+=("${word#"$broken_off"}")
    fi
  done < <("$1" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _nfsteer nfsteer
)sh";

constexpr const char* kZsh = R"sh(#compdef nfsteer
# Completion of nfsteer's command lines in zsh. Put it as _nfsteer into a folder of $fpath, or load it with:
#   source <(nfsteer completion zsh)
_nfsteer() {
  local line
  local -a lines described
  lines=("${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
  for line in "${(@)lines}"; do
    if [[ $line == :files ]]; then
      [[ $PREFIX != --*=* ]] || compset -P '*='
      _files
      return
    fi
    [[ -z $line ]] || described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe -t nfsteer nfsteer described
}
if [[ $funcstack[1] == _nfsteer ]]; then _nfsteer "$@"; else compdef _nfsteer nfsteer; fi
)sh";

constexpr const char* kFish = R"sh(# Completion of nfsteer's command lines in fish. Load it with:
#   nfsteer completion fish | source
function __nfsteer_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    if contains -- :files $lines
        __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
    else
        printf '%s\n' $lines
    end
end
complete -c nfsteer -f -a '(__nfsteer_complete)'
)sh";

}  // namespace

core::Result<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return core::usage_error("completion", fmt::format("'{}' is no shell it knows", shell),
                           "give bash, zsh or fish");
}

}  // namespace nfsteer::cli
