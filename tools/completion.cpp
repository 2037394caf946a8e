#include <algorithm>

#include "generated.hpp"
#include "help.hpp"

namespace peermq::tools {
namespace {

/// What stands behind an option or in the place of an argument.
enum class Value { none, directory, file, words, text };

Value value_of(const CLI::Option& option) {
    if (option.nonpositional() && option.get_type_size() == 0) return Value::none;
    if (!choices_of(option).empty()) return Value::words;
    const std::string type = option.nonpositional() ? option.get_type_name()
                                                    : option.get_name(true);
    if (type == "DIR") return Value::directory;
    return type == "FILE" ? Value::file : Value::text;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

std::vector<std::string> names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    return names;
}

/// All commands, the root first, each with its path behind "peermq": "", " spool", " spool ls".
void collect(const CLI::App& app, const std::string& path,
             std::vector<std::pair<std::string, const CLI::App*>>& all) {
    all.emplace_back(path, &app);
    for (const CLI::App* command : commands_of(app)) {
        collect(*command, path + " " + command->get_name(), all);
    }
}

std::vector<std::pair<std::string, const CLI::App*>> all_of(const CLI::App& root) {
    std::vector<std::pair<std::string, const CLI::App*>> all;
    collect(root, "", all);
    return all;
}

/// `"' push' | ' spool'"` and so on, for a case of a shell.
std::string paths(const CLI::App& root, const std::string& separator) {
    std::string text;
    for (const auto& [path, app] : all_of(root)) {
        if (!path.empty()) text += (text.empty() ? "" : separator) + "'" + path + "'";
    }
    return text;
}

const CLI::Option* argument_of(const CLI::App& app) {
    for (const CLI::Option* option : options_of(app)) {
        if (!option->nonpositional()) return option;
    }
    return nullptr;
}

/// `text` between single quotes, for all three shells.
std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += R"('\'')";
        } else {
            out += c;
        }
    }
    return out + "'";
}

std::string bash_values(const CLI::Option& option, const std::string& word) {
    switch (value_of(option)) {
        case Value::directory: return "COMPREPLY=($(compgen -d -- " + word + "))";
        case Value::file: return "COMPREPLY=($(compgen -f -- " + word + "))";
        case Value::words:
            return "COMPREPLY=($(compgen -W '" + joined(choices_of(option)) + "' -- " + word + "))";
        default: return "COMPREPLY=()";
    }
}

/// Short enough for one line of a menu, and without what its syntax needs.
std::string brief(const std::string& about) {
    std::string text = about.substr(0, about.find_first_of(";:"));
    std::erase_if(text, [](char c) { return c == '[' || c == ']' || c == '\'' || c == '\\'; });
    return text;
}

std::string zsh_action(const CLI::Option& option) {
    const std::string type = option.nonpositional() ? option.get_type_name()
                                                    : option.get_name(true);
    switch (value_of(option)) {
        case Value::none: return "";
        case Value::directory: return ":" + type + ":_files -/";
        case Value::file: return ":" + type + ":_files";
        case Value::words: return ":value:(" + joined(choices_of(option)) + ")";
        case Value::text: return ":" + brief(type) + ": ";
    }
    return "";
}

}  // namespace

std::string bash_completion(const CLI::App& root) {
    std::string out =
        "# bash completion of peermq; made by `peermq completion bash`.\n"
        "_peermq() {\n"
        "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
        "    local path='' i\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case \"$path ${COMP_WORDS[i]}\" in\n            " +
        paths(root, " | ") + ") path+=\" ${COMP_WORDS[i]}\" ;;\n        esac\n    done\n" +
        "    case \"$path $before\" in\n";
    for (const auto& [path, app] : all_of(root)) {
        for (const CLI::Option* option : options_of(*app)) {
            if (!option->nonpositional() || value_of(*option) == Value::none) continue;
            std::string pattern;
            for (const std::string& name : names_of(*option)) {
                pattern += (pattern.empty() ? "'" : " | '") + path + " " + name + "'";
            }
            out += "        " + pattern + ") " + bash_values(*option, "\"$word\"") +
                   "; return ;;\n";
        }
    }
    out += "    esac\n    case \"$path\" in\n";
    for (const auto& [path, app] : all_of(root)) {
        std::vector<std::string> options;
        std::vector<std::string> commands;
        for (const CLI::Option* option : options_of(*app)) {
            if (!option->nonpositional()) continue;
            for (const std::string& name : names_of(*option)) options.push_back(name);
        }
        for (const CLI::App* command : commands_of(*app)) commands.push_back(command->get_name());
        out += "        '" + path + "')\n            if [[ \"$word\" == -* ]]; then\n" +
               "                COMPREPLY=($(compgen -W '" + joined(options) + "' -- \"$word\"))\n";
        const CLI::Option* argument = argument_of(*app);
        if (!commands.empty()) {
            out += "            else\n                COMPREPLY=($(compgen -W '" +
                   joined(commands) + "' -- \"$word\"))\n";
        } else if (argument != nullptr && value_of(*argument) != Value::text) {
            out += "            else\n                " + bash_values(*argument, "\"$word\"") +
                   "\n";
        }
        out += "            fi ;;\n";
    }
    return out + "    esac\n}\ncomplete -F _peermq peermq\n";
}

std::string zsh_completion(const CLI::App& root) {
    std::string out =
        "#compdef peermq\n# zsh completion of peermq; made by `peermq completion zsh`.\n"
        "_peermq() {\n"
        "    local path='' i=2 depth=0\n"
        "    for ((i = 2; i < CURRENT; i++)); do\n"
        "        case \"$path ${words[i]}\" in\n            (" +
        paths(root, "|") +
        ") path+=\" ${words[i]}\"; ((depth++)) ;;\n        esac\n    done\n"
        "    # What stands before the last command is no argument of it.\n"
        "    words=(peermq \"${(@)words[depth + 2, -1]}\")\n"
        "    ((CURRENT -= depth))\n"
        "    local -a commands\n"
        "    case \"$path\" in\n";
    for (const auto& [path, app] : all_of(root)) {
        out += "        ('" + path + "')\n";
        const std::vector<const CLI::App*> commands = commands_of(*app);
        if (!commands.empty()) {
            out += "            commands=(";
            for (const CLI::App* command : commands) {
                out += "\n                " +
                       quoted(command->get_name() + ":" + brief(command->get_description()));
            }
            out +=
                ")\n            if [[ ${words[CURRENT]} != -* ]]; then\n"
                "                _describe command commands\n                return\n"
                "            fi\n";
        }
        out += "            _arguments -s";
        for (const CLI::Option* option : options_of(*app)) {
            const std::string repeat = option->get_items_expected_max() > 1 ? "*" : "";
            if (!option->nonpositional()) {
                out += " \\\n                " + quoted(repeat + (repeat.empty() ? ":" : ":") +
                                                        zsh_action(*option).substr(1));
                continue;
            }
            for (const std::string& name : names_of(*option)) {
                out += " \\\n                " +
                       quoted(repeat + name + "[" + brief(option->get_description()) + "]" +
                              zsh_action(*option));
            }
        }
        out += " ;;\n";
    }
    return out + "    esac\n}\n_peermq \"$@\"\n";
}

std::string fish_completion(const CLI::App& root) {
    std::string cases = paths(root, " ");
    std::string out =
        "# fish completion of peermq; made by `peermq completion fish`.\n"
        "function __peermq_at\n"
        "    set -l path ''\n"
        "    for word in (commandline -opc)[2..-1]\n"
        "        switch \"$path $word\"\n"
        "            case " +
        cases +
        "\n                set path \"$path $word\"\n        end\n    end\n"
        "    test \"$path\" = \"$argv[1]\"\nend\n"
        "complete -c peermq -f\n";
    for (const auto& [path, app] : all_of(root)) {
        const std::string at = "complete -c peermq -n \"__peermq_at '" + path + "'\"";
        for (const CLI::App* command : commands_of(*app)) {
            out += at + " -a " + command->get_name() + " -d " +
                   quoted(brief(command->get_description())) + "\n";
        }
        for (const CLI::Option* option : options_of(*app)) {
            const Value value = value_of(*option);
            std::string line = at;
            if (option->nonpositional()) {
                for (const std::string& name : option->get_snames()) line += " -s " + name;
                for (const std::string& name : option->get_lnames()) line += " -l " + name;
                line += " -d " + quoted(brief(option->get_description()));
            }
            switch (value) {
                case Value::none: break;
                case Value::directory: line += " -x -a '(__fish_complete_directories)'"; break;
                case Value::file: line += " -r -F"; break;
                case Value::words: line += " -x -a '" + joined(choices_of(*option)) + "'"; break;
                case Value::text: line += " -x"; break;
            }
            if (option->nonpositional() || value == Value::directory) out += line + "\n";
        }
    }
    return out;
}

}  // namespace peermq::tools
