# Completion of keystride for fish: keystride completion fish | source
function __keystride_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (eval (string escape -- $words[1]) complete -- (string escape -- $words[2..-1]) 2>/dev/null)
        if test "$line" = ':files'
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c keystride -f -a '(__keystride_complete)'
