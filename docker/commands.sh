# What each command does with its arguments and options. Generated from the commands themselves by
#   python -m retrain.cli.wrapper_table >docker/commands.sh
# shellcheck shell=bash disable=SC2034

# describe COMMAND sets
#   argument_roles   the role of each argument, in order; whatever follows is read
#   option_roles     the role of each option that takes a value
#   network, asks    "yes" where the command may download, and where it waits for an answer
#   listens          "yes" where others on this machine connect to it
# Roles: read, a path that is only read; workspace, a folder that is there and is written to;
# folder and file, what is written and made if it is missing; value, which is no path.
describe() {
    argument_roles="" option_roles="" network="" asks="" listens=""
    case "$1" in
        check)
            argument_roles="workspace"
            option_roles="|--undo=value|"
            network=yes
            ;;
        clean)
            argument_roles="workspace"
            option_roles="|--host=value|--port=value|"
            network=yes
            listens=yes
            ;;
        cluster)
            argument_roles="value value read"
            ;;
        compare)
            argument_roles="read read"
            option_roles="|--data=read|--side=value|"
            ;;
        doctor)
            argument_roles="workspace"
            network=yes
            ;;
        download)
            argument_roles="folder read"
            option_roles="|--category=value|--parallel=value|--per-host=value|--most-mib=value|\
--seconds=value|--attempts=value|"
            network=yes
            ;;
        evaluate)
            argument_roles="read"
            option_roles="|--data=read|--side=value|--output=folder|"
            ;;
        explain)
            argument_roles="workspace read"
            option_roles="|--category=value|--method=value|--layer=value|--output=folder|"
            ;;
        export)
            argument_roles="workspace"
            option_roles="|--format=value|--output=folder|--license=value|"
            ;;
        frames)
            argument_roles="folder read"
            option_roles="|--category=value|--every=value|--max-size=value|--reader=value|"
            ;;
        guess)
            argument_roles="read read"
            option_roles="|--top=value|--precision=value|"
            ;;
        guess-dir)
            argument_roles="read read folder"
            option_roles="|--min-score=value|--unsure=folder|--precision=value|--cluster=value|"
            ;;
        import)
            argument_roles="folder read"
            option_roles="|--category=value|--labels-from=value|--path-column=value|\
--label-column=value|--images=read|--max-size=value|"
            ;;
        lr-find)
            argument_roles="workspace"
            option_roles="|--backbone=value|--weights=read|--size=value|--fit=value|\
--labels-from=value|--group-by=value|--hold-out=value|--seed=value|\
--groups=value|--tune-folds=value|--lr=value|--batch=value|\
--precision=value|--balance=value|--augment=value|--output=file|"
            network=yes
            ;;
        report)
            argument_roles="workspace"
            option_roles="|--output=file|"
            ;;
        runs)
            argument_roles="workspace"
            option_roles="|--use=value|--prune=value|"
            asks=yes
            ;;
        serve)
            argument_roles="workspace"
            option_roles="|--host=value|--port=value|--name=value|--precision=value|--workers=value|\
--allow-host=value|--max-body=value|--max-pixels=value|--max-requests=value|\
--timeout=value|"
            listens=yes
            ;;
        show-batch)
            argument_roles="workspace"
            option_roles="|--backbone=value|--weights=read|--size=value|--fit=value|\
--labels-from=value|--group-by=value|--hold-out=value|--seed=value|\
--augment=value|--output=file|"
            network=yes
            ;;
        show-data)
            argument_roles="workspace"
            option_roles="|--labels-from=value|--group-by=value|--hold-out=value|--write-labels=file|"
            ;;
        train)
            argument_roles="workspace"
            option_roles="|--backbone=value|--weights=read|--size=value|--fit=value|\
--labels-from=value|--group-by=value|--hold-out=value|--seed=value|\
--compare=value|--prefer=value|--fine-tune=value|--epochs=value|\
--groups=value|--tune-folds=value|--lr=value|--batch=value|\
--precision=value|--balance=value|--augment=value|--minutes=value|\
--gpus=value|--cluster=value|"
            network=yes
            ;;
        vary)
            argument_roles="workspace"
            option_roles="|--category=value|--like=value|--only=value|--crop-border=value|"
            ;;
        weights)
            argument_roles="value"
            network=yes
            ;;
    esac
}
