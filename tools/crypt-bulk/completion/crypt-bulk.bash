# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Completion of crypt-bulk for bash. Options come from the program's own help.

_crypt_bulk_mappings()
{
	local path

	for path in /dev/mapper/*; do
		[[ $path == */control || ! -e $path ]] || echo "${path##*/}"
	done
}

_crypt_bulk()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} words

	if ((COMP_CWORD == 1)); then
		words='open close convert status table doctor --help --version'
	elif [[ $word == -* ]]; then
		words=$(crypt-bulk "$command" --help 2>/dev/null | grep -oE -- '--[a-z_-]+')
	else
		case $before in
		--type | -M) words='luks luks1 luks2 plain' ;;
		--to) words='crypt-bulk crypt' ;;
		--key-file | -d | --volume-key-file | --header | --sysroot) words= ;;
		*)
			[[ $command == open ]] || words=$(_crypt_bulk_mappings)
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "${words-}" -- "$word")
	if ((COMP_CWORD > 1)) && [[ ! ${words-} ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
	fi
}

complete -F _crypt_bulk crypt-bulk
