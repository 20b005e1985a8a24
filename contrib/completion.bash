# contrib/completion.bash: completes relayq's commands, options, IDs and sites in bash (and in zsh behind
# `autoload -U +X bashcompinit && bashcompinit`). Copy it to /usr/share/bash-completion/completions/relayq.
# IDs and sites come from the daemon if it answers: at most 100 IDs that begin as the word does, however many wait.

# The first IDs that begin so: those behind the last ID that stands before all of them.
_relayq_ids() {
	local letters=0123456789ABCDEFGHJKMNPQRSTVWXYZ begin=${1^^} after=() smaller last
	while [[ $begin == *0 ]]; do
		begin=${begin%0}
	done
	last=${begin: -1}
	if [[ -n $begin && $letters == *"$last"* ]]; then
		smaller=${letters%%"$last"*}
		smaller=${begin%?}${smaller: -1}ZZZZZZZZZZZZZ
		after=(--after "${smaller:0:13}")
	fi
	relayq "${socket[@]}" list "${after[@]}" --limit 100 2>/dev/null | cut -f 1
}

# The fullest sites, and what is suspended.
_relayq_sites() {
	relayq "${socket[@]}" --json summary --limit 200 2>/dev/null |
		sed -n 's/^{"type":"site","name":"\([^"\\]*\)".*/\1/p; s/^{"type":"suspension","site":"\([^"\\]*\)".*/\1/p'
}

_relayq() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="list show cat summary reasons tail retry hold release remove bounce redirect suspend resume pin unpin path families trace config status verify doctor survey version help"
	local conditions="--sender --rcpt --site --domain --state --older --younger --larger --reason"
	local acting="$conditions --because --all --dry-run"
	local socket=() command="" options="-c --json --help" skip="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [ -n "$skip" ]; then
			skip=""
			continue
		fi
		case ${COMP_WORDS[i]} in
		-c)
			socket=(-c "${COMP_WORDS[i + 1]}")
			skip=1
			;;
		--json | --help | --all | --dry-run | --undo | --connect | --read-only | --resume | --csv) ;;
		-?*) skip=1 ;;
		*) [ -n "$command" ] || command=${COMP_WORDS[i]} ;;
		esac
	done
	case $before in
	-c | --config | --results)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--state)
		mapfile -t COMPREPLY < <(compgen -W "active ready routing resting suspended deferred held" -- "$word")
		return
		;;
	--site)
		mapfile -t COMPREPLY < <(compgen -W "$(_relayq_sites)" -- "$word")
		return
		;;
	--id | --after)
		mapfile -t COMPREPLY < <(compgen -W "$(_relayq_ids "$word")" -- "${word^^}")
		return
		;;
	--event)
		mapfile -t COMPREPLY < <(compgen -W "received delivered deferred failed bounce waiting finished site-rests \
			site-back hold release retry remove return redirect suspend resume refused discarded" -- "$word")
		return
		;;
	--sender | --rcpt | --domain | --older | --younger | --larger | --reason | --limit | --because | --to | --for | --probe | --timeout | --resolver | --rate | --in-flight)
		return
		;;
	esac
	case $command in
	"") options+=" $commands" ;;
	list) options+=" $conditions --after --limit" ;;
	summary) options+=" --limit" ;;
	reasons) options+=" $conditions --limit" ;;
	tail) options+=" --id --event --sender --rcpt --site" ;;
	retry | hold | release | remove | bounce) options+=" $acting" ;;
	redirect) options+=" --to --undo $acting" ;;
	suspend) options+=" --for --because --reason" ;;
	pin) options+=" --for" ;;
	trace) options+=" --connect" ;;
	verify) options+=" --read-only" ;;
	doctor) options+=" --config --sender --probe --timeout" ;;
	survey) options+=" --config --resolver --rate --in-flight --results --resume --csv" ;;
	help) options=$commands ;;
	esac
	if [[ $word != -* ]]; then
		case $command in
		show | cat | retry | hold | release | remove | bounce | redirect)
			options=$(_relayq_ids "$word")
			word=${word^^}
			;;
		pin) options="$(_relayq_sites) ipv4 ipv6" ;;
		unpin) options=$(relayq "${socket[@]}" pin 2>/dev/null | cut -f 1) ;;
		suspend | resume | path) options=$(_relayq_sites) ;;
		config)
			options=$(relayq "${socket[@]}" --json config 2>/dev/null |
				sed -n 's/^{"type":"setting","block":"\([^"]*\)",.*"key":"\([^"]*\)".*/\1.\2/p' |
				sed 's/^\.//; s/\.$//' | sort -u)
			;;
		survey)
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
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
