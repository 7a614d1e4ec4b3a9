"""Sessions of ``netenvs/ABR-v0`` as lists."""

ABR = "netenvs/ABR-v0"


def rollout(env, actions, **reset):
    """(observation, reward, info) of the reset and of every step."""
    observation, info = env.reset(**reset)
    seen = [(observation, 0.0, info)]
    for action in actions:
        observation, reward, terminated, _, info = env.step(action)
        seen.append((observation, reward, info))
        if terminated:
            break
    return seen


def column(seen, name):
    return [info[name] for _, _, info in seen]


def figures(env, levels=3, **reset):
    """Rewards and delays of an episode that cycles through the first ``levels`` levels."""
    reset = reset or {"seed": 5}
    seen = rollout(env, [i % levels for i in range(60)], **reset)
    return [(reward, info["delay_ms"], info["buffer_s"], info["trace"]) for _, reward, info in seen]
