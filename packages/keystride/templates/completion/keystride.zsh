#compdef keystride
# Completion of keystride for zsh: eval "$(keystride completion zsh)", after compinit
_keystride() {
  local found word told
  local -a described open
  found="$(eval "${words[1]} complete -- ${(j: :)${(@qq)${(@Q)words[2,CURRENT]}}}" 2>/dev/null)"
  while IFS=$'\t' read -r word told; do
    if [[ $word == ':files' ]]; then
      _files
    elif [[ $word == *= ]]; then
      open+=("${word//:/\\:}${told:+:$told}")
    elif [[ -n $word ]]; then
      described+=("${word//:/\\:}${told:+:$told}")
    fi
  done <<<"$found"
  (( $#open )) && _describe keystride open -S ''
  (( $#described )) && _describe keystride described
  return 0
}
compdef _keystride keystride
