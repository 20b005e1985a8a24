# contrib/completion.bash: completes relayq's commands and options in bash. Copy it to
# /usr/share/bash-completion/completions/relayq. IDs are completed from the queue if the daemon answers.
_relayq() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="list show cat summary retry hold release remove trace status verify version help"
	local socket=() command="" options="-c --json --help" skip="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [ -n "$skip" ]; then
			skip=""
		elif [ "${COMP_WORDS[i]}" = -c ]; then
			socket=(-c "${COMP_WORDS[i + 1]}")
			skip=1
		elif [[ ${COMP_WORDS[i]} != -* && -z $command ]]; then
			command=${COMP_WORDS[i]}
		fi
	done
	case $before in
	-c)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--state)
		mapfile -t COMPREPLY < <(compgen -W "active ready routing resting deferred held" -- "$word")
		return
		;;
	--sender | --rcpt | --site | --domain | --older | --younger | --larger | --reason | --after | --limit)
		return
		;;
	esac
	case $command in
	"") options+=" $commands" ;;
	list) options+=" --sender --rcpt --site --domain --state --older --younger --larger --reason --after --limit" ;;
	summary) options+=" --limit" ;;
	hold | remove) options+=" --reason" ;;
	trace) options+=" --connect" ;;
	verify) options+=" --read-only" ;;
	help) options=$commands ;;
	esac
	if [[ $word != -* ]]; then
		case $command in
		show | cat | retry | hold | release | remove)
			options=$(relayq "${socket[@]}" list --limit 200 2>/dev/null | cut -f 1)
			;;
		verify)
			mapfile -t COMPREPLY < <(compgen -d -- "$word")
			return
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _relayq relayq
