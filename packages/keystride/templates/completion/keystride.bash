# Completion of keystride for bash: eval "$(keystride completion bash)"
_keystride() {
  local line="${COMP_LINE:0:COMP_POINT}" words current found word
  read -ra words <<<"$line"
  [[ $line =~ [[:space:]]$ ]] && words+=('')
  current="${words[${#words[@]} - 1]}"
  # bash takes what follows one of its word breaks for the word, and ids hold two of them.
  local before=''
  while [[ $current == *[:=]* && $COMP_WORDBREAKS == *[:=]* ]]; do
    before="${current%"${current##*[:=]}"}"
    break
  done
  COMPREPLY=()
  # The command as it was typed may be an alias.
  found="$(eval "$1 complete -- $(printf '%q ' "${words[@]:1}")" 2>/dev/null)"
  while IFS=$'\t' read -r word _; do
    if [[ $word == ':files' ]]; then
      compopt -o default 2>/dev/null
    elif [[ -n $word ]]; then
      [[ $word == *= ]] && compopt -o nospace 2>/dev/null
      COMPREPLY+=("${word#"$before"}")
    fi
  done <<<"$found"
}
complete -F _keystride keystride
