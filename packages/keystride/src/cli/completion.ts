import { Argument, type Command } from 'commander';
import { templateText } from '../scaffold/files.ts';

/** The shells that we complete for. */
const shells = ['bash', 'zsh', 'fish'];

const help = `
The script asks keystride itself what may come next: commands, options, jobs, names and values of --param, ids of runs and
schedules. In a project it knows that project's jobs. It completes the word keystride: where that is not in the PATH, make
it one by an alias, such as alias keystride='npx keystride'.

Examples:
  $ eval "$(keystride completion bash)"             in ~/.bashrc
  $ eval "$(keystride completion zsh)"              in ~/.zshrc, after compinit
  $ keystride completion fish | source              in ~/.config/fish/config.fish`;

/** `keystride completion`: a script that lets a shell complete what is typed. */
export function completionCommand(command: Command): Command {
  return command
    .addArgument(new Argument('<shell>', 'the shell that it is for').choices(shells))
    .addHelpText('after', help)
    .action((shell: string) => void process.stdout.write(templateText(`completion/keystride.${shell}`)));
}
